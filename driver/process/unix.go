//go:build unix

package process

import (
	"errors"
	"os/exec"
	"syscall"
)

func supported() error { return nil }

// prepare gives the command its group, and ends the whole group when its context
// ends.
func prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = attributes()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}

// kill kills a process, and its group if it leads one.
func kill(pid int) error {
	if group, err := syscall.Getpgid(pid); err == nil && group == pid {
		if syscall.Kill(-pid, syscall.SIGKILL) == nil {
			return nil
		}
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}
