// Package floppy makes the floppy disk of a guest: files, folders and texts of the
// template on a FAT12 disk of 1.44 MB.
package floppy

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kiln"
	"kiln/media/files"
)

// Config is what a template may say about the floppy disk: docs/compat/boot-and-media.md 3.
// A builder holds it with kiln:",squash", calls Validate in its own, and Make before the
// guest starts.
type Config struct {
	// Files to put on a floppy disk, all of them in its root. A folder gives the files in it and below it.
	// Wildcards (*, ?, [...]) may be used.
	Files []string `kiln:"floppy_files,file=glob"`
	// Folders to put on the floppy disk with all that is in them; x/drivers becomes drivers. With a wildcard
	// at its end, x/drivers/*, what is in the folder is put into the root.
	Dirs []string `kiln:"floppy_dirs,file=glob"`
	// Texts to put on the floppy disk, by the names of their files. Each wins over a file of the same name.
	Content map[string]string `kiln:"floppy_content"`
	// Label of the floppy disk, at most 8 bytes.
	Label string `kiln:"floppy_label,default=packer"`
}

// usualLabel is the label where the template gives an empty one.
const usualLabel = "packer"

// maxLabel is the room for the label in the boot sector.
const maxLabel = 8

// Wanted reports whether the template asks for a floppy disk.
func (c *Config) Wanted() bool { return len(c.Files)+len(c.Dirs)+len(c.Content) > 0 }

// Validate reports all that is wrong.
func (c *Config) Validate() error {
	if !c.Wanted() {
		return nil
	}
	errs := files.Check("floppy_files", "Bad Floppy disk file", c.Files)
	errs = append(errs, files.Check("floppy_dirs", "Bad Floppy disk directory", c.Dirs)...)
	for _, key := range slices.Sorted(maps.Keys(c.Content)) {
		if _, err := files.Clean(key); err != nil {
			errs = append(errs, kiln.Invalid("floppy_content", "Error creating file for floppy: %w", err))
		}
	}
	if len(c.Label) > maxLabel {
		errs = append(errs, kiln.Invalid("floppy_label",
			"Error creating floppy: the label %q is too long: it must be %d bytes or less", c.Label, maxLabel))
	}
	return errors.Join(errs...)
}

// Make makes the floppy disk and returns the path of its image, which goes when the build
// ends; "" where the template asks for none.
func (c *Config) Make(ctx context.Context, b *kiln.Build) (string, error) {
	if !c.Wanted() {
		return "", nil
	}
	b.Say("Creating floppy disk...")
	now := time.Now()
	g := gathering{ctx: ctx, b: b, root: &files.Node{}}
	for _, step := range []func() error{
		func() error { return g.files(c.Files) },
		func() error { return g.dirs(c.Dirs) },
		func() error { return g.content(c.Content, now) },
	} {
		if err := step(); err != nil {
			return "", err
		}
	}
	image, err := format(g.root, cmp.Or(c.Label, usualLabel), now)
	if err != nil {
		return "", fmt.Errorf("Error creating floppy: %w", err)
	}
	return files.Image(ctx, b, ".img", func(w io.Writer) error {
		_, err := w.Write(image)
		return err
	})
}

// gathering collects what is to go on the disk.
type gathering struct {
	ctx  context.Context
	b    *kiln.Build
	root *files.Node
	size int64 // of what was read
}

// fold makes one of names that FAT takes for the same. What is not UTF-8 is not kept.
func fold(name string) string { return strings.ToUpper(string([]rune(name))) }

// put reads a file, which is small or fits no floppy disk, and puts it on the disk.
func (g *gathering) put(name string, f *files.File) error {
	from := cmp.Or(f.Path, name)
	if g.size += f.Size; g.size > capacity {
		return fmt.Errorf("FAT FULL: %s does not fit, the disk has room for %d bytes in all", from, capacity)
	}
	if err := f.Read(g.ctx); err != nil {
		return err
	}
	return g.root.Put(name, f, fold, func(path string, old, now *files.File) (*files.File, error) {
		if bytes.Equal(old.Text, now.Text) {
			g.size -= now.Size
			return old, nil
		}
		return nil, fmt.Errorf("name already exists: %s (the second is %s)", path, from)
	})
}

// files puts files into the root, and those of folders too.
func (g *gathering) files(patterns []string) error {
	g.b.Say("Copying files flatly from floppy_files")
	for _, pattern := range patterns {
		found, err := kiln.Glob(pattern)
		if err != nil {
			return fmt.Errorf("Error adding path %s to floppy: %w", pattern, err)
		}
		for _, root := range found {
			err := files.Walk(g.ctx, g.b, root, func(name string, f *files.File) error {
				switch {
				case f == nil && name == ".":
					g.b.Say("Copying directory: %s", root)
				case f == nil:
				case name == ".":
					g.b.Say("Copying file: %s", root)
					return g.put(filepath.Base(root), f)
				default:
					g.b.Say("Adding file: %s", filepath.Join(root, name))
					return g.put(filepath.Base(name), f)
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("Error adding file from floppy_files : %s : %w", root, err)
			}
		}
	}
	g.b.Say("Done copying files from floppy_files")
	return nil
}

// dirs puts folders into the root as they are.
func (g *gathering) dirs(patterns []string) error {
	g.b.Say("Collecting paths from floppy_dirs")
	var roots []string
	for _, pattern := range patterns {
		found, err := kiln.Glob(pattern)
		if err != nil {
			return fmt.Errorf("Error adding path %s to floppy: %w", pattern, err)
		}
		roots = append(roots, found...)
	}
	g.b.Say("Resulting paths from floppy_dirs : %v", roots)
	for _, root := range roots {
		g.b.Say("Recursively copying : %s", root)
		base := filepath.Base(root)
		if base == ".." {
			base = "."
		}
		err := files.Walk(g.ctx, g.b, root, func(name string, f *files.File) error {
			name = path.Join(base, filepath.ToSlash(name))
			if f != nil {
				return g.put(name, f)
			}
			return g.root.Put(name, nil, fold, nil)
		})
		if err != nil {
			return fmt.Errorf("Error adding path %s to floppy: %w", root, err)
		}
	}
	g.b.Say("Done copying paths from floppy_dirs")
	return nil
}

// content puts texts into the root.
func (g *gathering) content(texts map[string]string, now time.Time) error {
	g.b.Say("Copying files from floppy_content")
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		name, err := files.Clean(key)
		if err == nil {
			err = g.root.Put(path.Base(name), files.Content([]byte(texts[key]), now), fold, files.Later)
		}
		if err != nil {
			return fmt.Errorf("Error creating file for floppy: %w", err)
		}
	}
	g.b.Say("Done copying files from floppy_content")
	return nil
}
