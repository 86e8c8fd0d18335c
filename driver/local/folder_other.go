//go:build !linux && !windows

package local

import (
	"fmt"
	"os"
	"syscall"
)

// folderMark tells a folder from one that came to bear its name later. It stays the same
// whatever is put into it.
func folderMark(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return "not a folder", nil
	}
	return fmt.Sprintf("%d-%d", uint64(st.Dev), st.Ino), nil
}

// renameNew renames, and replaces nothing.
func renameNew(from, to string) error { return renameAbsent(from, to) }
