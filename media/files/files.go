// Package files gathers what a template puts on a medium, a floppy disk or a CD, and
// makes the file that holds the medium.
package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	slash "path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kiln"
)

// A File is one that goes on a medium.
type File struct {
	Path string // on this machine; "": it has the content below
	Text []byte // its content where Path is empty
	Size int64
	Exec bool // may be executed
	Time time.Time
}

// Content is a file with the given content.
func Content(text []byte, made time.Time) *File {
	return &File{Text: text, Size: int64(len(text)), Time: made}
}

// Open opens it for reading.
func (f *File) Open(ctx context.Context) (io.ReadCloser, error) {
	if f.Path == "" {
		return io.NopCloser(bytes.NewReader(f.Text)), nil
	}
	return kiln.Open(ctx, f.Path)
}

// Read reads all of it, and keeps it.
func (f *File) Read(ctx context.Context) error {
	r, err := f.Open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	if f.Text, err = io.ReadAll(io.LimitReader(r, f.Size+1)); err != nil {
		return err
	}
	if int64(len(f.Text)) != f.Size {
		return Changed(f.Path)
	}
	f.Path = ""
	return nil
}

// Changed is the error of a file whose length is not what it was a moment ago.
func Changed(path string) error { return fmt.Errorf("%s was changed while it was copied", path) }

// Check reports each path of a field that names nothing. What is in front of it in the
// message: "Bad CD disk file". A path with wildcards may fit nothing.
func Check(field, what string, paths []string) (errs []error) {
	for _, p := range paths {
		found, err := kiln.Glob(p)
		if err == nil && len(found) == 1 {
			_, err = os.Stat(found[0])
		}
		if err != nil {
			errs = append(errs, kiln.Invalid(field, "%s '%s': %w", what, p, err))
		}
	}
	return errs
}

// Walk visits a file, or a folder with all that is in it, in the order of names, and
// gives for each its name below root ("." is root itself). Links are followed; one that
// leads back to where it is found is an error. What is a pipe is read to its end.
//
// Visit is given no file for a folder.
func Walk(ctx context.Context, b *kiln.Build, root string, visit func(name string, f *File) error) error {
	w := walker{ctx: ctx, b: b, visit: visit}
	return w.walk(root, ".", nil)
}

type walker struct {
	ctx   context.Context
	b     *kiln.Build
	visit func(name string, f *File) error
}

// walk visits path, which is in the folders above it.
func (w *walker) walk(path, name string, above []fs.FileInfo) error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		f, err := w.file(path, info)
		if err != nil {
			return err
		}
		return w.visit(name, f)
	}
	if slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, info) }) {
		return fmt.Errorf("%s is a link that leads back to a folder it is in", path)
	}
	if err := w.visit(name, nil); err != nil {
		return err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		below := append(slices.Clip(above), info)
		if err := w.walk(filepath.Join(path, e.Name()), filepath.Join(name, e.Name()), below); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) file(path string, info fs.FileInfo) (*File, error) {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return &File{Path: path, Size: info.Size(), Exec: mode&0o111 != 0, Time: info.ModTime()}, nil
	case mode&fs.ModeNamedPipe != 0:
		text, err := w.b.ReadFile(w.ctx, path)
		return Content(text, info.ModTime()), err
	}
	return nil, fmt.Errorf("%s is neither a file nor a folder", path)
}

// Image makes a file in the system's folder for temporary files that holds a medium, and
// returns its path. The build owns it: it goes when the build ends. Nobody else can read
// it, as answers to an installer often hold a password.
func Image(ctx context.Context, b *kiln.Build, ext string, write func(io.Writer) error) (string, error) {
	path, err := filepath.Abs(filepath.Join(os.TempDir(), "packer"+kiln.RandomName(10)+ext))
	if err != nil {
		return "", err
	}
	r := kiln.Resource{Kind: kiln.KindFile, ID: path}
	if err := b.Own(r, kiln.RemoveFile(r)); err != nil {
		return "", err
	}
	if err := create(path, write); err != nil {
		return "", errors.Join(err, b.Destroy(context.WithoutCancel(ctx), r))
	}
	return path, nil
}

func create(path string, write func(io.Writer) error) error {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(write(out), out.Close())
}

// Clean is the name on a medium that a key of the template stands for, from the root and
// never above it. It is an error where it names no file.
func Clean(key string) (string, error) {
	slashed := strings.ReplaceAll(key, `\`, "/")
	name := strings.TrimPrefix(slash.Clean("/"+slashed), "/")
	if name == "" || strings.HasSuffix(slashed, "/") {
		return "", fmt.Errorf("%q is not the name of a file", key)
	}
	return name, nil
}
