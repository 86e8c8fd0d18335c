package download

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock locks a file that exists for it alone, or is errBusy. The lock goes with the
// process, whatever ends it.
func tryLock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err = windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	if err != nil {
		f.Close()
		if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
			err = errBusy
		}
		return nil, err
	}
	return func() { f.Close() }, nil
}
