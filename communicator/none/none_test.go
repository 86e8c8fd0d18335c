package none

import (
	"testing"

	"kiln"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	kilntest.TestCommunicator(t, func(t *testing.T) kiln.Communicator {
		b, _ := kilntest.NewBuild(t)
		c, err := new(Config).Connect(t.Context(), b, kiln.Target{})
		if err != nil {
			t.Fatal(err)
		}
		if b.Access() != (kiln.Access{Type: "none"}) {
			t.Errorf("templates are told of a way in: %+v", b.Access())
		}
		return c
	}, kilntest.CommunicatorOptions{})
}
