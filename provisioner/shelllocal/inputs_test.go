package shelllocal_test

import (
	"testing"

	"kiln"
	"kiln/kilntest"
	"kiln/provisioner/shelllocal"
)

func TestLayerInputs(t *testing.T) {
	kilntest.TestLayerInputs(t, func() kiln.Provisioner { return new(shelllocal.Provisioner) })
}
