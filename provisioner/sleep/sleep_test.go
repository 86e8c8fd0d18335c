package sleep

import (
	"testing"
	"time"

	"kiln"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	kilntest.TestProvisioner(t, kilntest.ProvisionerOptions{
		New:  func() kiln.Provisioner { return &Provisioner{Duration: time.Millisecond} },
		Slow: func() kiln.Provisioner { return &Provisioner{Duration: time.Hour} },
	})
}
