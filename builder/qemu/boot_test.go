package qemu

import (
	"path/filepath"
	"testing"

	"kiln"
	"kiln/communicator/ssh"
	"kiln/kilntest"
	"kiln/kilntest/disk"
)

func TestBoot(t *testing.T) {
	d := disk.Tiny(t)
	dir := bench(t)
	state := func() string {
		mark, err := kiln.Mark(d.Path)
		if err != nil {
			t.Fatal(err)
		}
		return mark
	}
	kilntest.TestBooter(t, kilntest.BooterOptions{
		New: func() kiln.Builder {
			c := configured(t, func(c *Builder) {
				c.Accelerator, c.Memory, c.Communicator = "tcg", 256, "ssh"
				way := c.Connectors["ssh"].(*ssh.Config)
				way.Username, way.PrivateKeyFile = "root", d.KeyFile
			})
			if err := c.Connectors["ssh"].Validate(); err != nil {
				t.Fatal(err)
			}
			return c
		},
		Artifact: &kiln.Artifact{Files: []string{d.Path}},
		Gone:     &kiln.Artifact{Files: []string{filepath.Join(dir, "gone.qcow2")}},
		State:    state,
		Left:     func() []string { return left(t, dir) },
		Once:     true,
	})
}
