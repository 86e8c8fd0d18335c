package null

import (
	"testing"

	"kiln"
	"kiln/communicator"
	"kiln/communicator/none"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	kilntest.TestBuilder(t, kilntest.BuilderOptions{
		New: func() kiln.Builder {
			b := &Builder{Config: communicator.Config{Communicator: "none"}}
			b.Offer(map[string]kiln.Connector{"none": new(none.Config)})
			return b
		},
		Left: func() []string { return nil },
	})
}
