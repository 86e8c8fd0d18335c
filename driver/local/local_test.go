package local_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kiln"
	"kiln/driver/local"
	"kiln/driver/process"
	"kiln/kilntest"
)

// A file that replaced the one that was made is left alone.
func TestReapFileIsTheVeryOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	b, _ := kilntest.NewBuild(t)
	write := func() kiln.Resource {
		r, err := b.WriteFile(t.Context(), path, 0o644, kilntest.Text("made"))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	made := write()
	if err := (local.Reaper{}).Reap(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file that was made is still there")
	}
	if err := (local.Reaper{}).Reap(t.Context(), made); err != nil {
		t.Errorf("a file that is gone: %v", err)
	}
	write()
	if err := (local.Reaper{}).Reap(t.Context(), made); !errors.Is(err, kiln.ErrReplaced) {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("another build's file of the same name was removed: %v", err)
	}
}

// A process is known by its token, with all that it started.
func TestReapProcess(t *testing.T) {
	b, r := kilntest.NewBuild(t)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "setsid sleep 60 & sleep 60")
	p, err := process.Start(t.Context(), b, cmd)
	if err != nil {
		t.Fatal(err)
	}
	if open := r.Balance(); len(open) != 1 || !open[0].Same(p.Resource) {
		t.Fatalf("the journal has %v", open)
	}
	other := p.Resource
	other.ID = strings.Repeat("x", 20)
	if err := (local.Reaper{}).Reap(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
		t.Fatal("a process with another token was killed")
	case <-time.After(50 * time.Millisecond):
	}
	if err := (local.Reaper{}).Reap(t.Context(), p.Resource); err != nil {
		t.Fatal(err)
	}
	if p.Wait() == nil {
		t.Error("the process was not killed")
	}
	if out, err := exec.Command("sh", "-c", "grep -l "+p.Resource.ID+" /proc/[0-9]*/environ 2>/dev/null").Output(); err == nil {
		t.Errorf("still there: %s", out)
	}
}
