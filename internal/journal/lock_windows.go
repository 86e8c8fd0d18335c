package journal

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock locks a file for as long as it is open; false: another process has it. On
// Windows nobody can read what is locked, so it is one byte far behind the end.
func tryLock(f *os.File) (bool, error) {
	behind := &windows.Overlapped{OffsetHigh: 1 << 30}
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, behind)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

// removeAndClose removes a file. An open one cannot be removed here: whoever takes it
// in between finds a run that owns nothing.
func removeAndClose(f *os.File) error { return errors.Join(f.Close(), os.Remove(f.Name())) }
