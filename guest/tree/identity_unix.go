//go:build unix

package tree

import (
	"fmt"
	"io/fs"
	"syscall"
)

// Identity tells a file that has several names from all others; "" of one that has a
// single name.
func Identity(info fs.FileInfo) string {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
		return fmt.Sprintf("%d-%d", uint64(st.Dev), st.Ino)
	}
	return ""
}
