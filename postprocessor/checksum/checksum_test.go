package checksum

import (
	"testing"

	"kiln"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	kilntest.TestPostProcessor(t, kilntest.PostProcessorOptions{
		New: func() kiln.PostProcessor {
			return &PostProcessor{ChecksumTypes: []string{"md5", "sha256"}, Output: "{{.BuildName}}.{{.ChecksumType}}"}
		},
	})
}
