//go:build unix

package kiln

import (
	"fmt"
	"io/fs"
	"syscall"
)

// inode is the number that the file system knows a file by.
func inode(info fs.FileInfo) string {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("%d-%d-", uint64(st.Dev), st.Ino)
	}
	return ""
}
