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

// Provision waits until the time is over or the build is cancelled.
func (p *Provisioner) Provision(ctx context.Context, _ *kiln.Build, _ kiln.Communicator) error {
	timer := time.NewTimer(p.Duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
