//go:build unix

package download

import (
	"errors"
	"os"
	"syscall"
)

// tryLock locks a file that exists for it alone, or is errBusy. The lock goes with the
// process, whatever ends it.
func tryLock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errBusy
		}
		return nil, err
	}
	return func() { f.Close() }, nil
}
