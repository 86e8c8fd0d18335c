//go:build !linux

package kilntest

import (
	"os/exec"
	"syscall"
)

// endWithUs is for Linux: elsewhere a process may outlive a test that is killed.
func endWithUs() *syscall.SysProcAttr { return nil }

// endTogether is for Linux: elsewhere what a command has started may outlive it.
func endTogether(*exec.Cmd) {}
