package file_test

import (
	"testing"

	"kiln"
	"kiln/kilntest"
	"kiln/provisioner/file"
)

func TestLayerInputs(t *testing.T) {
	kilntest.TestLayerInputs(t, func() kiln.Provisioner { return new(file.Provisioner) })
}
