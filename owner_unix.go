//go:build unix

package kiln

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// CheckOwner refuses a file or folder of Kiln's own that belongs to another user or that
// others may write: whoever writes it says what this process removes, and with which
// configuration. The error says how to mend it.
func CheckOwner(path string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return checkOwner(path, int(st.Uid), os.Geteuid(), info.Mode())
}

// checkOwner is CheckOwner for a process of user me.
func checkOwner(path string, owner, me int, mode fs.FileMode) error {
	switch {
	case owner != me && me == 0:
		return fmt.Errorf("%s belongs to %s, and root would act on what that user wrote: run this as %[2]s "+
			"(sudo -u '%[2]s' ...), or give root a folder of its own (sudo KILN_HOME=/var/lib/kiln ...)", path, userName(owner))
	case owner != me:
		return fmt.Errorf("%s belongs to %s, and you are %s: set KILN_HOME to a folder of your own, or take "+
			"this one over: sudo chown -R %d %[1]q", path, userName(owner), userName(me), me)
	case mode.Perm()&0o022 != 0:
		return fmt.Errorf("others may write %s (its mode is %04o): chmod -R go-w %[1]q. Users and CI jobs do not "+
			"share a KILN_HOME: each has its own", path, mode.Perm())
	}
	return nil
}

// userName is how a user is named in messages, and to sudo.
func userName(id int) string {
	if u, err := user.LookupId(strconv.Itoa(id)); err == nil {
		return u.Username
	}
	return "#" + strconv.Itoa(id)
}

// alive reports whether a process runs.
func alive(pid int) bool { return syscall.Kill(pid, 0) != syscall.ESRCH }
