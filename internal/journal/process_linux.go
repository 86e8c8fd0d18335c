package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"kiln"
)

// reapProcess kills a process with its group, or what is left of the group.
func reapProcess(r kiln.Resource) error {
	pid, err := processNumber(r)
	if err != nil {
		return err
	}
	if start, err := kiln.ProcessStart(pid); err == nil && start == r.Attrs["start"] {
		// Its group first: children that stayed in it go too.
		if syscall.Kill(-pid, syscall.SIGKILL) == nil {
			return nil
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		return nil
	}
	return reapGroup(pid, r.Attrs["run"])
}

// reapGroup kills what is left of a group whose leader has ended. The number may
// be another's by now, so each process must carry the run's identifier.
func reapGroup(group int, run string) error {
	if run == "" {
		return nil
	}
	mark := []byte("\x00" + kiln.RunVariable + "=" + run + "\x00")
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if of, err := syscall.Getpgid(pid); err != nil || of != group {
			continue
		}
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || !bytes.Contains(append([]byte{0}, append(env, 0)...), mark) {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}
