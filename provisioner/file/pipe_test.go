//go:build unix

package file

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"kiln/kilntest"
)

// A pipe to which nobody writes holds up nothing; what comes out of one is sent.
func TestPipe(t *testing.T) {
	dir := t.TempDir()
	pipe, target := filepath.Join(dir, "pipe"), filepath.Join(dir, "target")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &Provisioner{Source: pipe, Destination: target, Direction: "upload"}
	b, _ := kilntest.NewBuild(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Provision(ctx, b, &kilntest.Local{}) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	var writer sync.WaitGroup
	writer.Go(func() {
		if err := os.WriteFile(pipe, []byte("content"), 0); err != nil {
			t.Error(err)
		}
	})
	for range 2 {
		err := p.Provision(t.Context(), b, &kilntest.Local{})
		if text, _ := os.ReadFile(target); err != nil || string(text) != "content" {
			t.Errorf("%q arrived, %v", text, err)
		}
	}
	writer.Wait()
}
