//go:build unix

package file

import (
	"os"
	"path/filepath"
	"testing"

	"kiln"
	"kiln/kilntest"
)

// A pipe to which nobody writes holds up nothing; what comes out of one is sent.
func TestPipe(t *testing.T) {
	target := filepath.Join(t.TempDir(), "target")
	upload := func(pipe string) kiln.Provisioner {
		return &Provisioner{Source: pipe, Destination: target, Direction: "upload"}
	}
	kilntest.Pipe(t, "content", upload, func(b *kiln.Build, _ *kilntest.Recorder, pipe string) {
		for range 2 {
			err := upload(pipe).Provision(t.Context(), b, &kilntest.Local{})
			if text, _ := os.ReadFile(target); err != nil || string(text) != "content" {
				t.Errorf("%q arrived, %v", text, err)
			}
		}
	})
}
