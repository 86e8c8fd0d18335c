package shelllocal

import (
	"testing"

	"kiln"
	"kiln/kilntest"
	"kiln/schema"
)

func TestConformance(t *testing.T) {
	inline := func(line string) func() kiln.Provisioner {
		return func() kiln.Provisioner {
			p := new(Provisioner)
			p.Inline = []string{line}
			schema.Defaults(p)
			if err := p.Validate(); err != nil {
				t.Fatal(err)
			}
			return p
		}
	}
	kilntest.TestProvisioner(t, kilntest.ProvisionerOptions{New: inline("echo out; echo err >&2"), Slow: inline("sleep 60")})
}
