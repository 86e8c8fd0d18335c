//go:build !unix

package virtualbox

import "os/exec"

// apart changes nothing: there are no process groups here.
func apart(*exec.Cmd) {}
