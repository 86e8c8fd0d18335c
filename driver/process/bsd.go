//go:build unix && !linux

package process

import (
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

func attributes(bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// find lists the processes that carry the token, as ps shows their environment.
func find(token string) ([]int, error) {
	show := "axeww"
	if runtime.GOOS == "darwin" {
		show = "-axEww"
	}
	out, err := exec.Command("ps", show, "-o", "pid=,command=").Output()
	if err != nil {
		return nil, fmt.Errorf("ask ps for processes: %w", err)
	}
	var pids []int
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || !strings.Contains(line, Variable+"="+token) {
			continue
		}
		if pid, err := strconv.Atoi(fields[0]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
