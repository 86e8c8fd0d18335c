//go:build unix

package kilntest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"kiln"
)

// Pipe makes a named pipe, and shows that a provisioner which reads it ends with its context while nobody
// writes to it. Then one writer offers text, until all that readers asks for have ended: each may be the one
// that finds the writer, also the one that was cancelled.
func Pipe(
	t *testing.T, text string, provisioner func(path string) kiln.Provisioner,
	readers func(b *kiln.Build, r *Recorder, path string),
) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	p := provisioner(path)
	b, r := NewBuild(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Provision(ctx, b, &Local{}) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	var writer sync.WaitGroup
	writer.Go(func() {
		if err := os.WriteFile(path, []byte(text), 0); err != nil {
			t.Error(err)
		}
	})
	readers(b, r, path)
	writer.Wait()
}
