package dockerpush

import (
	"testing"

	"kiln"
	"kiln/driver/docker"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	kilntest.Docker(t)
	name := kilntest.StartRegistry(t) + "/kiln-conform/push:1"
	kilntest.TagImage(t, name)
	kilntest.TestPostProcessor(t, kilntest.PostProcessorOptions{
		New: func() kiln.PostProcessor {
			return &PostProcessor{Login: docker.Login{
				Use: true, Username: kilntest.RegistryUser, Password: kilntest.RegistryPassword,
			}}
		},
		In: func() *kiln.Artifact { return &kiln.Artifact{Builder: docker.ImportID, ID: name} },
	})
}
