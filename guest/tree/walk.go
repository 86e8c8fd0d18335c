package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// An Entry is a file, folder or link of a tree, as it is to be on the other side.
type Entry struct {
	Name string      // in the tree, with slashes; "." is the tree's own folder
	File string      // where it is on this machine, without a link as its last part
	Info fs.FileInfo // of that file
	Link string      // a symbolic link: what it leads to
	Same string      // a hard link: the name of the earlier entry that is the same file
}

// Walk visits a tree: each folder before what is in it. Links are dealt with so that
// the tree means the same elsewhere:
//
//   - a link as the root is followed
//   - one that leads to something within the tree stays a link; an absolute one becomes
//     relative
//   - one that leads out of it is followed: what it leads to stands in its place
//   - one that leads nowhere, or to a folder that holds it, stays as it is
//   - of several names of one file the later ones are hard links of the first
//
// A file that is neither file, folder nor link is an error.
func Walk(ctx context.Context, root string, visit func(Entry) error) error {
	return walk(ctx, root, nil, visit)
}

// WalkAsIs is Walk for those who want links as they are, wherever they lead. Files that
// are none of the usual kinds are left out, and so is what skip names: fs.SkipDir as its
// answer leaves out a folder with all that is in it.
func WalkAsIs(
	ctx context.Context, root string, skip func(name string, folder bool) (bool, error), visit func(Entry) error,
) error {
	return walk(ctx, root, skip, visit)
}

func walk(
	ctx context.Context, root string, skip func(string, bool) (bool, error), visit func(Entry) error,
) error {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return err
	}
	if real, err = filepath.Abs(real); err != nil {
		return err
	}
	info, err := os.Stat(real)
	if err != nil {
		return err
	}
	w := walker{ctx: ctx, skip: skip, visit: visit}
	return w.folder(&within{real: real, at: ".", seen: map[string]string{}}, real, ".", info)
}

type walker struct {
	ctx   context.Context
	skip  func(name string, folder bool) (bool, error) // nil: links are followed where they lead out
	visit func(Entry) error
}

// within is a tree whose links are judged: the whole one, or a folder outside of it that
// a link led to.
type within struct {
	real  string            // on this machine, without links
	at    string            // its name in the whole tree
	seen  map[string]string // names of files that have several, by their identity
	outer *within           // that holds the link
}

// folder visits a folder, or a file as the root, and what is in it.
func (w *walker) folder(in *within, file, name string, info fs.FileInfo) error {
	if err := w.file(in, Entry{Name: name, File: file, Info: info}); err != nil || !info.IsDir() {
		if errors.Is(err, fs.SkipDir) {
			return nil
		}
		return err
	}
	entries, err := os.ReadDir(file)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.entry(in, filepath.Join(file, e.Name()), path.Join(name, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) entry(in *within, file, name string) error {
	info, err := os.Lstat(file)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return w.folder(in, file, name, info)
	}
	target, err := os.Readlink(file)
	if err != nil {
		return err
	}
	e := Entry{Name: name, File: file, Info: info, Link: filepath.ToSlash(target)}
	led, err := filepath.EvalSymlinks(file)
	if err != nil || w.skip != nil {
		// It leads nowhere, or in a circle; or links stay as they are.
		return w.file(in, e)
	}
	for tree := in; tree != nil; tree = tree.outer {
		if rel, ok := below(tree.real, led); ok {
			from := path.Dir(e.Name)
			if tree != in || path.IsAbs(e.Link) || leaves(in.at, path.Join(from, e.Link)) {
				if e.Link, err = relative(from, path.Join(tree.at, rel)); err != nil {
					return err
				}
			}
			return w.file(in, e)
		}
		if _, ok := below(led, tree.real); ok {
			return w.file(in, e) // following it would never end
		}
	}
	if info, err = os.Stat(led); err != nil {
		return err
	}
	return w.folder(&within{real: led, at: name, seen: map[string]string{}, outer: in}, led, name, info)
}

// file visits one entry.
func (w *walker) file(in *within, e Entry) error {
	regular, kind := e.Info.Mode().IsRegular(), e.Info.Mode().Type()
	usual := regular || e.Info.IsDir() || e.Link != ""
	if w.skip != nil && e.Name != "." {
		skip, err := w.skip(e.Name, e.Info.IsDir())
		if err != nil {
			return err
		}
		if skip || !usual {
			return nil
		}
	}
	if !usual {
		return fmt.Errorf("%s is neither file, folder nor link (%s) and cannot be uploaded", e.File, kind)
	}
	if regular {
		if id := Identity(e.Info); id != "" {
			if e.Same = in.seen[id]; e.Same == "" {
				in.seen[id] = e.Name
			}
		}
	}
	return w.visit(e)
}

// below gives the name of a file within a folder, with slashes; "." for itself.
func below(folder, file string) (string, bool) {
	rel, err := filepath.Rel(folder, file)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}

// leaves reports whether a name is not within a folder of the tree.
func leaves(folder, name string) bool {
	return name == ".." || strings.HasPrefix(name, "../") ||
		folder != "." && name != folder && !strings.HasPrefix(name, folder+"/")
}

// relative is the link in a folder of the tree that leads to a name in it.
func relative(folder, name string) (string, error) {
	rel, err := filepath.Rel(filepath.FromSlash(folder), filepath.FromSlash(name))
	return filepath.ToSlash(rel), err
}
