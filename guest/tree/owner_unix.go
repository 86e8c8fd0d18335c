//go:build unix

package tree

import (
	"io/fs"
	"syscall"
)

// Owner is who a local file belongs to; ok is false where that has no numbers.
func Owner(info fs.FileInfo) (uid, gid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(st.Uid), int(st.Gid), true
}
