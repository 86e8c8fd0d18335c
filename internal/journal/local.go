package journal

import (
	"bytes"
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
		if !filepath.IsAbs(r.ID) || filepath.Clean(r.ID) == "/" {
			return fmt.Errorf("%q is no folder that a build makes", r.ID)
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

func reapProcess(r kiln.Resource) error {
	pid, err := strconv.Atoi(r.ID)
	if err != nil || pid <= 1 {
		return fmt.Errorf("%q is no process number", r.ID)
	}
	if start, err := kiln.ProcessStart(pid); err == nil && start == r.Attrs["start"] {
		// Its group first: children that stayed in it go too.
		if syscall.Kill(-pid, syscall.SIGKILL) == nil {
			return nil
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		return nil
	}
	return reapGroup(pid, r.Attrs["run"])
}

// reapGroup kills what is left of a group whose leader has ended. The number may
// be another's by now, so each process must carry the run's identifier.
func reapGroup(group int, run string) error {
	if run == "" {
		return nil
	}
	mark := []byte("\x00" + kiln.RunVariable + "=" + run + "\x00")
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if of, err := syscall.Getpgid(pid); err != nil || of != group {
			continue
		}
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || !bytes.Contains(append([]byte{0}, append(env, 0)...), mark) {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}
