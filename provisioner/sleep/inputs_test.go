package sleep_test

import (
	"testing"

	"kiln"
	"kiln/kilntest"
	"kiln/provisioner/sleep"
)

func TestLayerInputs(t *testing.T) {
	kilntest.TestLayerInputs(t, func() kiln.Provisioner { return new(sleep.Provisioner) })
}
