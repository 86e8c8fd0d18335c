package cloudbox

import (
	"context"
	"os"
	"testing"

	"kiln"
	"kiln/kilntest"
	"kiln/test/added/wire"
)

func TestConformance(t *testing.T) {
	region := t.TempDir()
	kilntest.TestBuilder(t, kilntest.BuilderOptions{
		New: func() kiln.Builder {
			b := &Builder{Region: region}
			b.Communicator = "wire"
			b.Offer(map[string]kiln.Connector{"wire": &wire.Config{Shell: "/bin/sh"}})
			if err := b.Validate(); err != nil {
				t.Fatal(err)
			}
			return b
		},
		Left: func() (all []string) {
			entries, err := os.ReadDir(region)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				all = append(all, e.Name())
			}
			return all
		},
		Provision: func(ctx context.Context, c kiln.Communicator) error {
			return c.Run(ctx, &kiln.Cmd{Command: "echo x >made"})
		},
	})
}
