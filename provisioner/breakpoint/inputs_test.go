package breakpoint_test

import (
	"testing"

	"kiln"
	"kiln/kilntest"
	"kiln/provisioner/breakpoint"
)

func TestLayerInputs(t *testing.T) {
	kilntest.TestLayerInputs(t, func() kiln.Provisioner { return new(breakpoint.Provisioner) })
}
