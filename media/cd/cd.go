// Package cd makes a CD for a guest: files, folders and texts of the template as an ISO
// 9660 image with Joliet and Rock Ridge, by no tool that would have to be installed.
package cd

import (
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

// Config is what a template may say about the CD: docs/compat/boot-and-media.md 4. A
// builder holds it with kiln:",squash", calls Validate in its own, and Make before the
// guest starts.
type Config struct {
	// Files and folders to put on a CD. A file goes to the root; a folder keeps its structure, below its own
	// name or, where it ends in a slash, in the root. Wildcards (*, ?, [...]) may be used.
	Files []string `kiln:"cd_files,file=glob"`
	// Texts to put on the CD, by the paths of their files. Each wins over a file of the same path.
	Content map[string]string `kiln:"cd_content"`
	// Label of the CD, such as cidata for cloud-init.
	Label string `kiln:"cd_label,default=packer"`
}

const (
	usualLabel = "packer" // where the template gives an empty one
	maxLabel   = 32       // bytes for it in the plain descriptor
)

// Wanted reports whether the template asks for a CD.
func (c *Config) Wanted() bool { return len(c.Files)+len(c.Content) > 0 }

// Validate reports all that is wrong.
func (c *Config) Validate() error {
	if !c.Wanted() {
		return nil
	}
	errs := files.Check("cd_files", "Bad CD disk file", c.Files)
	for _, key := range slices.Sorted(maps.Keys(c.Content)) {
		if _, err := files.Clean(key); err != nil {
			errs = append(errs, kiln.Invalid("cd_content", "Error creating file for CD: %w", err))
		}
	}
	if len(c.Label) > maxLabel {
		errs = append(errs, kiln.Invalid("cd_label",
			"the label %q of the CD is too long: it must be %d bytes or less", c.Label, maxLabel))
	}
	return errors.Join(errs...)
}

// Make makes the CD and returns the path of its image, which goes when the build ends; ""
// where the template asks for none.
func (c *Config) Make(ctx context.Context, b *kiln.Build) (string, error) {
	if !c.Wanted() {
		return "", nil
	}
	b.Say("Creating CD disk...")
	now := time.Now()
	root := &files.Node{}
	for _, pattern := range c.Files {
		if err := put(ctx, b, root, pattern); err != nil {
			return "", err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.Content)) {
		name, err := files.Clean(key)
		if err == nil {
			err = root.Put(name, files.Content([]byte(c.Content[key]), now), same, files.Later)
		}
		if err != nil {
			return "", fmt.Errorf("Error creating file for CD: %w", err)
		}
	}
	img, err := layOut(root, cmp.Or(c.Label, usualLabel), now, sectionSize)
	if err != nil {
		return "", fmt.Errorf("Error creating CD: %w", err)
	}
	iso, err := files.Image(ctx, b, ".iso", func(w io.Writer) error { return img.writeTo(ctx, w) })
	if err != nil {
		return "", err
	}
	b.Say("Done copying paths from CD_dirs")
	return iso, nil
}

// same: names on a CD differ where their letters do.
func same(name string) string { return name }

// put puts what a path with wildcards names on the CD. Where two files have one path the
// later one wins, as with the copying that this stands for.
func put(ctx context.Context, b *kiln.Build, root *files.Node, pattern string) error {
	found, err := kiln.Glob(pattern)
	if err != nil {
		return fmt.Errorf("Bad CD disk file '%s': %w", pattern, err)
	}
	for _, source := range found {
		base := filepath.Base(source)
		if base == ".." || strings.HasSuffix(filepath.ToSlash(pattern), "/") {
			base = "."
		}
		err := files.Walk(ctx, b, source, func(name string, f *files.File) error {
			if name == "." && f != nil {
				return root.Put(filepath.Base(source), f, same, files.Later)
			}
			return root.Put(path.Join(base, filepath.ToSlash(name)), f, same, files.Later)
		})
		if err != nil {
			return fmt.Errorf("Error copying %s to CD: %w", source, err)
		}
	}
	return nil
}
