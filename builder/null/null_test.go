package null

import (
	"testing"

	"kiln"
	"kiln/communicator"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	kilntest.TestBuilder(t, kilntest.BuilderOptions{
		New:  func() kiln.Builder { return &Builder{Config: communicator.Config{Communicator: "none"}} },
		Left: func() []string { return nil },
	})
}
