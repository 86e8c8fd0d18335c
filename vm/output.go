package vm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"

	"kiln"
	"kiln/driver/local"
	"kiln/driver/lock"
)

// OutputDirectory is the folder of the disks: docs/compat/boot-and-media.md 10. A builder
// holds it with kiln:",squash".
type OutputDirectory struct {
	// The folder that is made for the disks of the machine; output- and the name of the build by default. It
	// must not exist, unless -force is given, which removes it first.
	Directory string `kiln:"output_directory,late"`
}

// What is said of a folder that exists, which differs from builder to builder. %s is the
// folder.
const (
	MustNotExist = "Output directory '%s' already exists. It must not exist."
	UseForce     = "Output directory exists: %s\n\nUse the force flag to delete it prior to building."
)

// Path is the folder as messages name it.
func (o *OutputDirectory) Path(b *kiln.Build) string {
	if o.Directory == "" {
		return "output-" + b.Source
	}
	return o.Directory
}

// Free fails where the folder exists and is not to be replaced, with one of the texts above.
// A builder calls it before anything that takes long.
func (o *OutputDirectory) Free(b *kiln.Build, text string) error {
	path := o.Path(b)
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("output_directory: %w", err)
	case !b.Force:
		return kiln.Invalid("output_directory", text, path)
	}
	locked, ok := lockFolder(path)
	if !ok {
		return kiln.Invalid("output_directory", "%s is not removed, whatever -force says: a build that is running "+
			"has its disks in it", path)
	}
	if locked != nil {
		locked.Close()
	}
	return needed(path)
}

// lockFolder locks a folder for as long as the file is open; not ok: a build that is running
// has it. Where folders cannot be locked the file is nil.
func lockFolder(path string) (f *os.File, ok bool) {
	if runtime.GOOS == "windows" {
		return nil, true // an open folder could not be removed
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, true
	}
	ok, err = lock.Try(f)
	if ok {
		return f, true
	}
	f.Close()
	return nil, err != nil
}

// needed refuses to remove a folder that holds the one that we are in, or the user's home.
func needed(path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	for what, get := range map[string]func() (string, error){
		"the working directory": os.Getwd, "your home": os.UserHomeDir,
	} {
		dir, err := get()
		if err != nil {
			continue
		}
		if rel, err := filepath.Rel(abs, dir); err == nil && rel != ".." &&
			!strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			return kiln.Invalid("output_directory", "%s is not removed, whatever -force says: it holds %s", path, what)
		}
	}
	return nil
}

// Output is the folder of a build's disks.
type Output struct {
	Path     string // as the template says it
	b        *kiln.Build
	folder   kiln.Resource
	released atomic.Bool
	locked   *os.File // the folder itself, so that no other build takes it for an old one
}

// Make makes the folder. The build owns it: where the build fails it goes with all that is in
// it. What was there before goes only where -force says so; else it is an error of one of
// the texts above.
func (o *OutputDirectory) Make(ctx context.Context, b *kiln.Build, text string) (*Output, error) {
	if err := o.Free(b, text); err != nil {
		return nil, err
	}
	out := &Output{Path: o.Path(b), b: b}
	if _, err := os.Lstat(out.Path); err == nil {
		b.Say("Deleting previous output directory...")
		if err := local.RemoveTree(ctx, out.Path); err != nil {
			return nil, fmt.Errorf("delete previous output directory: %w", err)
		}
	}
	var err error
	out.folder, err = local.MakeFolder(ctx, b, out.Path, 0o755, func() {
		if !out.released.Load() {
			b.Say("Deleting output directory...")
		}
		out.unlock()
	})
	if errors.Is(err, fs.ErrExist) {
		return nil, errors.Join(kiln.Invalid("output_directory", text, out.Path), err) // another build was quicker
	}
	if err != nil {
		return nil, fmt.Errorf("make output directory: %w", err)
	}
	out.locked, _ = lockFolder(out.Path)
	return out, nil
}

func (o *Output) unlock() {
	if o.locked != nil {
		o.locked.Close()
	}
}

// Files lists all regular files below the folder, by their names.
func (o *Output) Files() ([]string, error) {
	var files []string
	err := filepath.WalkDir(o.Path, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list output directory: %w", err)
	}
	return files, nil
}

// Release gives the folder to an artifact. It returns the artifact's files and resources:
// destroying it removes the folder.
func (o *Output) Release() (files []string, all []kiln.Resource, err error) {
	if files, err = o.Files(); err != nil {
		return nil, nil, err
	}
	all = []kiln.Resource{o.folder}
	for _, path := range files {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, nil, err
		}
		mark, err := kiln.Mark(abs)
		if err != nil {
			return nil, nil, fmt.Errorf("list output directory: %w", err)
		}
		all = append(all, kiln.Resource{Kind: kiln.KindFile, ID: abs, Mark: mark})
	}
	o.released.Store(true)
	o.unlock()
	return files, all, o.b.Release(o.folder)
}
