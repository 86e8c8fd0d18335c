//go:build unix

package kiln

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	pipe, none := filepath.Join(dir, "pipe"), filepath.Join(dir, "none")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	b := NewBuild(Build{}, Host{})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(cancelled, pipe); !errors.Is(err, context.Canceled) {
		t.Errorf("a pipe without a writer: %v", err)
	}
	if _, err := b.ReadFile(cancelled, pipe); !errors.Is(err, context.Canceled) {
		t.Errorf("a pipe without a writer: %v", err)
	}
	if _, err := b.ReadFile(t.Context(), none); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if !IsPipe(pipe) || IsPipe(none) || IsPipe(dir) {
		t.Error("what is a pipe is not told")
	}
	// One that is handed over, as a shell's <(command).
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("once"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	handed := filepath.Join("/dev/fd", strconv.Itoa(int(r.Fd())))
	if _, err := os.Stat(handed); err != nil {
		t.Skip("SKIPPED, NOT TESTED: no " + handed)
	}
	for range 2 {
		if text, err := b.ReadFile(t.Context(), handed); err != nil || string(text) != "once" {
			t.Errorf("got %q, %v", text, err)
		}
	}
}

func TestGlob(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"a1.txt", "a2.txt", "b[1].txt", "c["} {
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ path, want string }{
		{"a1.txt", "a1.txt"}, {"missing", "missing"}, {"a*", "a1.txt a2.txt"}, {"a[12].txt", "a1.txt a2.txt"},
		{"z*", ""}, {"b[1].txt", "b[1].txt"}, {"c[", "c["}, {"", ""},
	} {
		found, err := Glob(c.path)
		if got := strings.Join(found, " "); got != c.want || err != nil {
			t.Errorf("%q names %q (%v), want %q", c.path, got, err, c.want)
		}
	}
	if found, err := Glob("d["); err == nil {
		t.Errorf("a pattern that is none names %v", found)
	}
}
