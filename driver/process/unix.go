//go:build unix

package process

import (
	"errors"
	"os/exec"
	"syscall"
)

func supported() error { return nil }

// prepare gives the command its group, and interrupts the whole group when its context
// ends: scripts clean up in a trap on INT.
func prepare(cmd *exec.Cmd, lasting bool) {
	cmd.SysProcAttr = attributes(lasting)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
}

// running reports whether there is a process of that number.
func running(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// terminate asks a group to end. That it has ended is as good.
func terminate(group int) { _ = syscall.Kill(-group, syscall.SIGTERM) }

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
