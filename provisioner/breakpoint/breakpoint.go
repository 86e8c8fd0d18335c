// Package breakpoint stops a build until somebody at the terminal lets it go on.
package breakpoint

import (
	"context"
	"errors"
	"fmt"

	"kiln"
)

// Provisioner waits for the enter key.
type Provisioner struct {
	// Text that is shown while the build waits.
	Note string `kiln:"note"`
	// Do not stop; only say that the breakpoint is disabled.
	Disable bool `kiln:"disable"`
}

// Traits: its effect is a person's.
func (p *Provisioner) Traits() kiln.Traits { return kiln.Traits{Outside: true, NoScript: true} }

// Provision asks, and fails where nobody can be asked.
func (p *Provisioner) Provision(ctx context.Context, b *kiln.Build, _ kiln.Communicator) error {
	note := ""
	if p.Note != "" {
		note = fmt.Sprintf(" with note %q", p.Note)
	}
	if p.Disable {
		b.Say("Breakpoint provisioner%s disabled; continuing...", note)
		return nil
	}
	b.Say("Pausing at breakpoint provisioner%s.", note)
	_, err := b.Ask(ctx, "Press enter to continue.")
	if errors.Is(err, kiln.ErrNoPrompt) {
		return fmt.Errorf("a breakpoint needs a terminal to wait at: %w (set disable = true to pass it)", err)
	}
	return err
}
