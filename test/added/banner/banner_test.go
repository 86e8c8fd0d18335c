package banner

import (
	"testing"

	"kiln"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	kilntest.TestProvisioner(t, kilntest.ProvisionerOptions{
		New:   func() kiln.Provisioner { return &Provisioner{Text: "hello", Path: "motd"} },
		Stays: []string{"motd"}, // the machine is this folder
	})
}

func TestInputs(t *testing.T) {
	kilntest.TestLayerInputs(t, func() kiln.Provisioner { return new(Provisioner) })
}
