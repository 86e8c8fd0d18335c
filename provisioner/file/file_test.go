package file

import (
	"os"
	"path/filepath"
	"testing"

	"kiln"
	"kiln/kilntest"
	"kiln/schema"
)

func TestConformance(t *testing.T) {
	there := t.TempDir()
	source := filepath.Join(there, "source")
	if err := os.WriteFile(source, []byte("content\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]Provisioner{
		"upload":   {Source: source, Destination: filepath.Join(there, "target")},
		"content":  {Content: "text", Destination: filepath.Join(there, "target")},
		"download": {Sources: []string{source}, Destination: "down/", Direction: "download"},
	} {
		t.Run(name, func(t *testing.T) {
			kilntest.TestProvisioner(t, kilntest.ProvisionerOptions{
				New: func() kiln.Provisioner {
					mine := p
					schema.Defaults(&mine)
					return &mine
				},
				Stays: []string{"down", "down/source"},
			})
		})
	}
}
