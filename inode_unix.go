//go:build unix

package kiln

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// inode is the number that the file system knows a file by.
func inode(info fs.FileInfo) string {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("%d-%d-", uint64(st.Dev), st.Ino)
	}
	return ""
}

// keepOwner gives a file the owner that the file had which it replaces. Only root can.
func keepOwner(f *os.File, before fs.FileInfo) {
	if st, ok := before.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(st.Uid), int(st.Gid))
	}
}
