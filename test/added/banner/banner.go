// Package banner greets whoever logs in to a machine, as a provisioner that a newcomer
// adds.
package banner

import (
	"context"
	"fmt"
	"strings"

	"kiln"
)

// Provisioner writes a banner.
type Provisioner struct {
	// The greeting.
	Text string `kiln:"text,required"`
	// Where it goes on the machine.
	Path string `kiln:"path,default=motd"`
}

// Validate refuses an empty greeting.
func (p *Provisioner) Validate() error {
	if p.Text == "" {
		return kiln.Invalid("text", "text must be specified")
	}
	return nil
}

// Traits say that no script runs.
func (p *Provisioner) Traits() kiln.Traits { return kiln.Traits{NoScript: true} }

// Provision uploads the banner.
func (p *Provisioner) Provision(ctx context.Context, b *kiln.Build, c kiln.Communicator) error {
	b.Say("Writing the banner %s", p.Path)
	text := p.Text + "\n"
	up := &kiln.Upload{
		Destination: p.Path,
		Content:     strings.NewReader(text),
		Size:        int64(len(text)),
		Mode:        0o644,
	}
	if err := c.Upload(ctx, up); err != nil {
		return fmt.Errorf("upload banner: %w", err)
	}
	return nil
}
