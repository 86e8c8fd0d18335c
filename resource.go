package kiln

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
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
	// Mark tells the very thing that was made from another that came to bear the
	// same name later: of a file what [Mark] gives, of a name the id of what it
	// names. Its reaper leaves alone what has another mark. It is empty where the ID
	// is random, which nothing else will ever bear.
	Mark string `json:"mark,omitempty"`
	// Digest is of the content, such as sha256:..., where it is known.
	Digest string `json:"digest,omitempty"`
}

// Kinds of resource on the local machine, which have no Owner. A dir is one that
// [Build.TempDir] made: no other is ever removed by its name alone. A folder is one of the
// user's, such as the folder of a machine's disks, and known by its Mark. The ID of a process
// is a token in its environment. A server is one within the process that made it, and ends
// with that.
const (
	KindFile    = "file"
	KindDir     = "dir"
	KindFolder  = "folder"
	KindProcess = "process"
	KindServer  = "server"
)

// KindLayer is the kind of every resource that is a kept layer.
const KindLayer = "layer"

// Same reports whether two resources are the same one: where it is and what it is
// called count, not what is known of it.
func (r Resource) Same(o Resource) bool {
	return r.Owner == o.Owner && r.Kind == o.Kind && r.ID == o.ID && maps.Equal(r.Attrs, o.Attrs)
}

// String is how the resource is named in messages.
func (r Resource) String() string {
	if r.Owner == "" {
		return r.Kind + " " + r.ID
	}
	return r.Owner + " " + r.Kind + " " + r.ID
}

// RandomName returns n random characters for the name of a resource: lower-case
// letters and digits, which may stand in any name.
func RandomName(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, see its documentation
	for i := range b {
		b[i] = letters[b[i]%32]
	}
	return string(b)
}

// Mark identifies the file at path, so that it can be told from one that is put in
// its place. It stays the same when the file is renamed, and changes when its
// content does.
func Mark(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s%d-%d", inode(info), info.ModTime().UnixNano(), info.Size()), nil
}

// RemoveFile destroys a local file that a build owns. A file that is not the one
// which r marks is left alone, which is ErrReplaced; that none exists is success.
func RemoveFile(r Resource) func(context.Context) error {
	return func(context.Context) error {
		if r.Mark != "" {
			mark, err := Mark(r.ID)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case mark != r.Mark:
				return ErrReplaced
			}
		}
		if err := os.Remove(r.ID); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
}
