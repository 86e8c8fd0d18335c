package docker

import (
	"errors"
	"syscall"
)

// killGroup kills a process of this machine, with its group if it leads one.
func killGroup(pid int) {
	if err := syscall.Kill(-pid, syscall.SIGKILL); errors.Is(err, syscall.ESRCH) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
