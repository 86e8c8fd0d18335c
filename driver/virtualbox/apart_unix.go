//go:build unix && !linux

package virtualbox

import (
	"os/exec"
	"syscall"
)

// apart keeps the signals of a terminal from the command, and from VirtualBox's service,
// which the first command starts: what is running is ended in an orderly way.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
}
