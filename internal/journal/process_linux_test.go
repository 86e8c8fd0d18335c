package journal

import (
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"kiln"
)

func TestReapProcessChecksItsStart(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	start, err := kiln.ProcessStart(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	r := kiln.Resource{Kind: kiln.KindProcess, ID: strconv.Itoa(cmd.Process.Pid),
		Attrs: map[string]string{"start": start + "1"}}
	if err := (Local{}).Reap(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
		t.Fatal("another process with the same number was killed")
	case <-time.After(50 * time.Millisecond):
	}
	r.Attrs["start"] = start
	if err := (Local{}).Reap(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	<-done
}
