package virtualbox

import (
	"os/exec"
	"syscall"
)

// apart keeps the signals of a terminal from the command, and from VirtualBox's service,
// which the first command starts: what is running is ended in an orderly way. The command
// ends with us; what it started does not.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
}
