//go:build !linux

package journal

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"kiln"
)

// reapProcess kills a process that is known to be the one of the record. Children that
// outlived it cannot be found here.
func reapProcess(r kiln.Resource) error {
	pid, err := processNumber(r)
	if err != nil {
		return err
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return nil // there is none of that number
	}
	defer p.Release()
	if runtime.GOOS != "windows" && errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone) {
		return nil
	}
	start, err := kiln.ProcessStart(pid)
	if err != nil {
		return fmt.Errorf("process %d may be the one that was started, or another by now: %w", pid, err)
	}
	if start != r.Attrs["start"] {
		return nil
	}
	if err := p.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}
