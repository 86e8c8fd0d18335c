//go:build linux

package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// attributes: the child ends with us, whatever ends us, unless it is to last.
func attributes(lasting bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if !lasting {
		a.Pdeathsig = syscall.SIGKILL
	}
	return a
}

// find lists the processes that carry the token. One that has ended and was not
// waited for yet has no environment, and does not count.
func find(token string) ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	mark := []byte("\x00" + Variable + "=" + token + "\x00")
	var pids []int
	for _, dir := range dirs {
		// What cannot be read is another user's, or gone by now.
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || !bytes.Contains(append([]byte{0}, append(env, 0)...), mark) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
