package local

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// folderMark tells a folder from any other, also from one that came to bear its name and
// even its number later. It stays the same whatever is put into it.
func folderMark(path string) (string, error) {
	var st unix.Statx_t
	const what = unix.STATX_INO | unix.STATX_TYPE | unix.STATX_BTIME
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, what, &st)
	if err != nil {
		return "", &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return "not a folder", nil
	}
	return fmt.Sprintf("%d:%d-%d-%d.%d", st.Dev_major, st.Dev_minor, st.Ino, st.Btime.Sec, st.Btime.Nsec), nil
}

// renameNew renames, and replaces nothing.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return renameAbsent(from, to) // this file system does not know it
	}
	if err != nil {
		return &fs.PathError{Op: "make", Path: to, Err: err}
	}
	return nil
}
