package artifice

import (
	"testing"

	"kiln"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	kilntest.TestPostProcessor(t, kilntest.PostProcessorOptions{
		New: func() kiln.PostProcessor { return &PostProcessor{Files: []string{"*.img", "none*"}} },
	})
}
