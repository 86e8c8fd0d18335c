// Package sleep waits for a given time.
package sleep

import (
	"context"
	"time"

	"kiln"
)

// Provisioner waits.
type Provisioner struct {
	// How long to wait, such as "30s".
	Duration time.Duration `kiln:"duration"`
}

// Validate refuses a negative time.
func (p *Provisioner) Validate() error {
	if p.Duration < 0 {
		return kiln.Invalid("duration", "duration is negative: %s", p.Duration)
	}
	return nil
}

// Traits: nothing runs on the machine.
func (p *Provisioner) Traits() kiln.Traits { return kiln.Traits{NoScript: true} }

// Provision waits until the time is over or the build is cancelled.
func (p *Provisioner) Provision(ctx context.Context, _ *kiln.Build, _ kiln.Communicator) error {
	return kiln.Sleep(ctx, p.Duration)
}
