package kilntest

import "syscall"

// endWithUs lets a process end with the test, whatever ends that.
func endWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
