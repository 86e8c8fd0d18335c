package dockertag

import (
	"testing"

	"kiln"
	builder "kiln/builder/docker"
	"kiln/driver/docker"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	kilntest.Docker(t)
	repository := "kiln-conform-tag/" + kiln.RandomName(8)
	kilntest.TestPostProcessor(t, kilntest.PostProcessorOptions{
		New: func() kiln.PostProcessor { return &PostProcessor{Repository: repository, Tags: []string{"a", "b"}} },
		In: func() *kiln.Artifact {
			return &kiln.Artifact{Builder: docker.ImportID, ID: kilntest.BusyboxImage, Data: map[string]any{"ID": "1"}}
		},
		Left:   func() []string { return kilntest.DockerImages(t, "reference="+repository) },
		Reaper: func(string) (kiln.Reaper, bool) { return new(builder.Builder), true },
	})
}
