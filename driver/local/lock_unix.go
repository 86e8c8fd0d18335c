//go:build unix

package local

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"kiln"
)

// LockFolder waits until no other process has locked the folder, and locks it. It
// locks the folder itself, so that no file is left in it.
func LockFolder(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = kiln.Sleep(ctx, pause)
		}
		if err != nil {
			f.Close()
			return nil, err
		}
	}
}
