package lock

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// Try locks a file for as long as it is open, and reports whether it could: false
// without an error is that another process has it. On Windows nobody can read what is
// locked, so it is one byte far behind the end.
func Try(f *os.File) (bool, error) {
	behind := &windows.Overlapped{OffsetHigh: 1 << 30}
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, behind)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

// Folder waits until no other process has locked the folder, and locks it, by a file in
// it: a folder itself cannot be locked on Windows.
func Folder(ctx context.Context, dir string) (unlock func(), err error) {
	return File(ctx, filepath.Join(dir, ".kiln-lock"))
}
