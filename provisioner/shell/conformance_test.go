package shell

import (
	"testing"
	"time"

	"kiln"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	dir := t.TempDir()
	inline := func(line string) func() kiln.Provisioner {
		return func() kiln.Provisioner {
			return provisioner(Provisioner{
				Inline: []string{line}, UseEnvVarFile: true, Env: map[string]string{"A": "b"}, RemoteFolder: dir,
				StartRetryTimeout: 50 * time.Millisecond,
			})
		}
	}
	kilntest.TestProvisioner(t, kilntest.ProvisionerOptions{New: inline("echo out; echo err >&2"), Slow: inline("sleep 60")})
}
