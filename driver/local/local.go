// Package local destroys what builds made on this machine: files, folders and
// processes.
package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"kiln"
	"kiln/driver/process"
)

// Reaper destroys files, folders and processes of this machine.
type Reaper struct{}

// Reap removes a file or folder, or kills a process with its group. A file is
// removed only if it is the very one that was made, see [kiln.Mark].
func (Reaper) Reap(ctx context.Context, r kiln.Resource) error {
	switch r.Kind {
	case kiln.KindFile:
		if err := kiln.RemoveFile(r)(ctx); err != nil && !absent(err) {
			return err
		}
		return nil
	case kiln.KindDir:
		if _, err := os.Lstat(r.ID); absent(err) {
			return nil
		}
		if !kiln.IsTempDir(r.ID) {
			return fmt.Errorf("%q is not a folder that a build makes: if it is to go, remove it by hand, and "+
				"clean up again", r.ID)
		}
		return os.RemoveAll(r.ID)
	case kiln.KindFolder:
		return removeFolder(ctx, r)
	case kiln.KindProcess:
		return process.Kill(ctx, r.ID)
	case kiln.KindServer:
		return nil // it ended with the process that it was in
	}
	return fmt.Errorf("unknown kind of local resource %q", r.Kind)
}

// Owned finds nothing: what is local is always named by its record.
func (Reaper) Owned(context.Context, string, kiln.Resource) ([]kiln.Resource, error) { return nil, nil }

// Stands reports whether a file or folder is there and the same as when it was made.
func (Reaper) Stands(_ context.Context, r kiln.Resource) (bool, error) {
	mark := kiln.Mark
	if r.Kind == kiln.KindFolder {
		mark = folderMark
	}
	found, err := mark(r.ID)
	if absent(err) {
		return false, nil
	}
	return err == nil && (r.Mark == "" || r.Mark == found), err
}

func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
