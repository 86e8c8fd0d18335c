//go:build !windows

package journal

import (
	"errors"
	"os"
	"syscall"
)

// tryLock locks a file for as long as it is open; false: another process has it.
func tryLock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// removeAndClose removes a file before its lock goes, so that nobody else takes it for
// the journal of a run that crashed.
func removeAndClose(f *os.File) error { return errors.Join(os.Remove(f.Name()), f.Close()) }
