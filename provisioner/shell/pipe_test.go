//go:build unix

package shell

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"kiln"
	"kiln/kilntest"
)

// A pipe to which nobody writes holds up nothing; one that is written to is read once,
// for all that want it.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	p := provisioner(Provisioner{Script: path, RemoteFolder: t.TempDir()})
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	b, r := kilntest.NewBuild(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Provision(ctx, b, &kilntest.Local{}) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	// Whoever writes finds one reader, be it of the try that was cancelled.
	var all sync.WaitGroup
	all.Go(func() {
		if err := os.WriteFile(path, []byte("echo from a pipe"), 0); err != nil {
			t.Error(err)
		}
	})
	for range 3 {
		all.Go(func() {
			p := provisioner(Provisioner{Script: path, RemoteFolder: t.TempDir()})
			if err := p.Provision(t.Context(), b, &kilntest.Local{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if out := strings.Join(r.Texts(kiln.EventOut), "|"); out != strings.Repeat("|from a pipe", 3)[1:] {
		t.Errorf("printed %q", out)
	}
}
