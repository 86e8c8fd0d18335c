//go:build unix

package files

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"kiln/kilntest"
)

// What comes from a pipe is read to its end, and a pipe that nobody writes to keeps
// nobody longer than the context lasts.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error)
	go func() { wrote <- os.WriteFile(path, []byte("through"), 0o600) }()
	b, _ := kilntest.NewBuild(t)
	got := ""
	err := Walk(t.Context(), b, path, func(_ string, f *File) error {
		got = string(f.Text)
		return nil
	})
	if err = errors.Join(err, <-wrote); err != nil || got != "through" {
		t.Errorf("it gave %q, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b, _ = kilntest.NewBuild(t)
	if err := Walk(ctx, b, path, func(string, *File) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}
