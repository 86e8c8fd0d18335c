//go:build !windows

package lock

import (
	"context"
	"errors"
	"os"
	"syscall"
)

// Try locks a file for as long as it is open, and reports whether it could: false
// without an error is that another process has it.
func Try(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// Folder waits until no other process has locked the folder, and locks it. It is the
// folder itself that is locked, so that no file is left in it.
func Folder(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	return wait(ctx, f)
}
