package journal

import (
	"os/signal"
	"syscall"
	"testing"

	"kiln"
)

// A release that was cut off, as on a full disk, does not take the next record along.
func TestCutOffRelease(t *testing.T) {
	dir := t.TempDir()
	j := New(dir, "r1", "t.json")
	for _, id := range []string{"a", "b"} {
		if err := j.Own("n", thing(id)); err != nil {
			t.Fatal(err)
		}
	}
	info, err := j.file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	full := syscall.Rlimit{Cur: uint64(info.Size()) + 50, Max: was.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
		t.Fatal(err)
	}
	released := j.Release("n", []kiln.Resource{thing("a"), thing("b")}...)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if released == nil {
		t.Fatal("it was not cut off")
	}
	if err := j.Own("n", thing("c")); err != nil {
		t.Fatal(err)
	}
	crash(j)
	f := new(fakeReaper)
	if err := cleaner(dir, f).Clean(t.Context(), ""); err != nil || len(f.reaped) != 3 || f.reaped[0] != "c" {
		t.Errorf("reaped %v, %v", f.reaped, err)
	}
}
