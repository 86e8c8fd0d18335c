//go:build unix

package shell

import (
	"strings"
	"sync"
	"testing"

	"kiln"
	"kiln/kilntest"
)

// A pipe to which nobody writes holds up nothing; one that is written to is read once,
// for all that want it.
func TestPipe(t *testing.T) {
	script := func(pipe string) kiln.Provisioner {
		p := provisioner(Provisioner{Script: pipe, RemoteFolder: t.TempDir()})
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		return p
	}
	kilntest.Pipe(t, "echo from a pipe", script, func(b *kiln.Build, r *kilntest.Recorder, pipe string) {
		var all sync.WaitGroup
		for range 3 {
			p := script(pipe)
			all.Go(func() {
				if err := p.Provision(t.Context(), b, &kilntest.Local{}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if out := strings.Join(r.Texts(kiln.EventOut), "|"); out != strings.Repeat("|from a pipe", 3)[1:] {
			t.Errorf("printed %q", out)
		}
	})
}
