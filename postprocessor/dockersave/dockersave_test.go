package dockersave

import (
	"testing"

	"kiln"
	"kiln/driver/docker"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	kilntest.Docker(t)
	kilntest.TestPostProcessor(t, kilntest.PostProcessorOptions{
		New: func() kiln.PostProcessor { return &PostProcessor{Path: "saved.tar"} },
		In: func() *kiln.Artifact {
			return &kiln.Artifact{Builder: docker.ImportID, ID: kilntest.BusyboxImage}
		},
		Stays: []string{"saved.tar"},
	})
}
