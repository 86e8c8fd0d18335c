// Package shelllocal runs scripts on the machine that Kiln runs on, after the
// artifact is made, which it hands on unchanged.
package shelllocal

import (
	"context"

	"kiln"
	"kiln/driver/localshell"
)

// PostProcessor runs local scripts.
type PostProcessor struct {
	localshell.Config `kiln:",squash"`
}

// Validate also lets execute_command be a single command line.
func (p *PostProcessor) Validate() error {
	if len(p.ExecuteCommand) == 1 {
		p.ExecuteCommand = []string{"sh", "-c", p.ExecuteCommand[0]}
	}
	return p.Config.Validate()
}

// Traits: the input is kept.
func (p *PostProcessor) Traits() kiln.Traits {
	return kiln.Traits{Keep: kiln.Keep{Default: true, Forced: true}}
}

// Process runs the scripts.
func (p *PostProcessor) Process(
	ctx context.Context,
	b *kiln.Build,
	in *kiln.Artifact,
) (*kiln.Artifact, error) {
	return in, p.Run(ctx, b, in.Data)
}
