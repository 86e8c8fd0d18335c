package shell_test

import (
	"testing"

	"kiln"
	"kiln/kilntest"
	"kiln/provisioner/shell"
)

func TestLayerInputs(t *testing.T) {
	kilntest.TestLayerInputs(t, func() kiln.Provisioner { return new(shell.Provisioner) })
}
