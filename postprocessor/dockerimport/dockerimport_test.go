package dockerimport

import (
	"testing"

	"kiln"
	builder "kiln/builder/docker"
	"kiln/driver/docker"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	kilntest.Docker(t)
	label := "kiln-conform-" + kiln.RandomName(8)
	for name, repository := range map[string]string{"named": "kiln-conform-import/" + kiln.RandomName(8), "unnamed": ""} {
		t.Run(name, func(t *testing.T) {
			kilntest.TestPostProcessor(t, kilntest.PostProcessorOptions{
				New: func() kiln.PostProcessor {
					return &PostProcessor{Repository: repository, Changes: []string{"LABEL " + label + "=1"}}
				},
				In: func() *kiln.Artifact {
					// Another content each time: the same would be the same image.
					text := kilntest.Tar(t, "etc/name", kiln.RandomName(8))
					if err := kiln.WriteFile("in.tar", text, 0o644); err != nil {
						t.Fatal(err)
					}
					return &kiln.Artifact{Builder: docker.ExportID, ID: "Container", Files: []string{"in.tar"}}
				},
				Left:   func() []string { return kilntest.DockerImages(t, "label="+label) },
				Stays:  []string{"in.tar"},
				Reaper: func(string) (kiln.Reaper, bool) { return new(builder.Builder), true },
			})
		})
	}
}
