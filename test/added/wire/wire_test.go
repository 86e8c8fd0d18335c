package wire

import (
	"context"
	"testing"

	"kiln"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	dir := t.TempDir()
	kilntest.TestCommunicator(t, func(t *testing.T) kiln.Communicator {
		b, _ := kilntest.NewBuild(t)
		c, err := (&Config{Shell: "/bin/sh"}).Connect(t.Context(), b, kiln.Target{
			Host: func(context.Context) (string, error) { return dir, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}, kilntest.CommunicatorOptions{Dir: dir})
}
