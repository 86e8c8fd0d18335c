package breakpoint

import (
	"errors"
	"testing"

	"kiln"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	kilntest.TestProvisioner(t, kilntest.ProvisionerOptions{
		New:  func() kiln.Provisioner { return &Provisioner{Note: "look"} },
		Slow: func() kiln.Provisioner { return new(Provisioner) }, // nobody answers
	})
}

func TestAsks(t *testing.T) {
	b, _ := kilntest.NewBuild(t)
	if err := new(Provisioner).Provision(t.Context(), b, &kilntest.Local{}); !errors.Is(err, kiln.ErrNoPrompt) {
		t.Errorf("without a terminal: %v", err)
	}
}
