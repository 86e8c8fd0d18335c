package kiln

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// A Resource is a thing outside the process that a build made or is about to
// make: a container, an image, a temporary file, a process. We choose its ID, so
// that it is known before the thing exists.
type Resource struct {
	// Owner is the component whose Reaper destroys it, such as
	// "builder.docker". Empty means the local machine: kinds file, dir, process.
	Owner string `json:"owner,omitempty"`
	// Kind is the owner's word for what it is, such as "container".
	Kind string `json:"kind"`
	// ID is its name or tag in the outside world; unique together with Owner,
	// Kind and Attrs.
	ID string `json:"id"`
	// Attrs is all else the Reaper needs to find it: a host, a region. Never a
	// secret.
	Attrs map[string]string `json:"attrs,omitempty"`
}

// Kinds of resource on the local machine, which have no Owner. A process has its
// start time in Attrs["start"], so that a number used again is not killed.
const (
	KindFile    = "file"
	KindDir     = "dir"
	KindProcess = "process"
)

// String is how the resource is named in messages.
func (r Resource) String() string {
	if r.Owner == "" {
		return r.Kind + " " + r.ID
	}
	return r.Owner + " " + r.Kind + " " + r.ID
}

// RemoveFile destroys a local file that a build owns. That it does not exist is
// success.
func RemoveFile(path string) func(context.Context) error {
	return func(context.Context) error {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
}

// WriteFile writes a file that is there with its whole content or as it was before,
// whatever happens meanwhile.
func WriteFile(path string, text []byte, mode fs.FileMode) error {
	part, err := os.CreateTemp(filepath.Dir(path), ".kiln-*")
	if err != nil {
		return err
	}
	_, err = part.Write(text)
	err = errors.Join(err, part.Chmod(mode), part.Close())
	if err == nil {
		err = os.Rename(part.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part.Name()))
	}
	return nil
}
