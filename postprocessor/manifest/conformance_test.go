package manifest

import (
	"testing"

	"kiln"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	kilntest.TestPostProcessor(t, kilntest.PostProcessorOptions{
		New: func() kiln.PostProcessor {
			return &PostProcessor{Output: "out/m.json", CustomData: map[string]string{"a": "b"}}
		},
		Stays: []string{"out", "out/m.json"},
	})
}
