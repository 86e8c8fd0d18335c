//go:build !linux

package kilntest

import "syscall"

// endWithUs is for Linux: elsewhere a process may outlive a test that is killed.
func endWithUs() *syscall.SysProcAttr { return nil }
