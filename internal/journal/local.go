package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"kiln"
)

// Local destroys files, folders and processes of this machine.
type Local struct{}

// Reap removes a file or folder or kills a process with its group. A process is
// killed only if it started when Attrs["start"] says, so that a number that is
// used again is safe.
func (Local) Reap(_ context.Context, r kiln.Resource) error {
	switch r.Kind {
	case kiln.KindFile:
		if err := os.Remove(r.ID); err != nil && !absent(err) {
			return err
		}
		return nil
	case kiln.KindDir:
		if !filepath.IsAbs(r.ID) || filepath.Dir(filepath.Clean(r.ID)) == filepath.Clean(r.ID) {
			return fmt.Errorf("invalid folder %q: no build makes it", r.ID)
		}
		return os.RemoveAll(r.ID)
	case kiln.KindProcess:
		return reapProcess(r)
	}
	return fmt.Errorf("unknown kind of local resource %q", r.Kind)
}

// Owned finds nothing: what is local is always named by its record.
func (Local) Owned(context.Context, string, kiln.Resource) ([]kiln.Resource, error) { return nil, nil }

func absent(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// processNumber is the number of a process that may be killed.
func processNumber(r kiln.Resource) (int, error) {
	pid, err := strconv.Atoi(r.ID)
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("invalid process number %q", r.ID)
	}
	return pid, nil
}
