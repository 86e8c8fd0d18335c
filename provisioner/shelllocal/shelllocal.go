// Package shelllocal runs scripts on the machine that Kiln runs on, between the
// steps on the guest.
package shelllocal

import (
	"context"

	"kiln"
	"kiln/driver/localshell"
)

// Provisioner runs local scripts.
type Provisioner struct {
	localshell.Config `kiln:",squash"`
}

// Traits: what it does is not on the guest.
func (p *Provisioner) Traits() kiln.Traits { return kiln.Traits{Outside: true} }

// Provision runs the scripts.
func (p *Provisioner) Provision(ctx context.Context, b *kiln.Build, _ kiln.Communicator) error {
	return p.Run(ctx, b, b.Data())
}
