package compress

import (
	"testing"

	"kiln"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	for _, output := range []string{"out/{{.BuildName}}.tar.gz", "x.zip", "x.xz", "x.bgzf"} {
		t.Run(output, func(t *testing.T) {
			kilntest.TestPostProcessor(t, kilntest.PostProcessorOptions{
				New:   func() kiln.PostProcessor { return &PostProcessor{Output: output, CompressionLevel: -1} },
				Stays: []string{"out"}, // an empty folder
			})
		})
	}
}
