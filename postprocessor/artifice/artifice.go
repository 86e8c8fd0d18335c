// Package artifice takes files that a build left on this machine as the artifact,
// instead of what the builder made.
package artifice

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"kiln"
)

// PostProcessor replaces the artifact.
type PostProcessor struct {
	// The files, as patterns such as "output/*.img". One that fits nothing is passed over.
	Files []string `kiln:"files,required"`
}

// Validate checks the patterns.
func (p *PostProcessor) Validate() error {
	if len(p.Files) == 0 {
		return kiln.Invalid("files", "No files specified in artifice configuration")
	}
	for _, f := range p.Files {
		if _, err := filepath.Match(f, ""); err != nil {
			return kiln.Invalid("files", "%q is no pattern: %v", f, err)
		}
	}
	return nil
}

// Traits: the input is kept.
func (p *PostProcessor) Traits() kiln.Traits { return kiln.Traits{Keep: kiln.Keep{Default: true}} }

// Process finds the files.
func (p *PostProcessor) Process(
	ctx context.Context,
	b *kiln.Build,
	in *kiln.Artifact,
) (*kiln.Artifact, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if in != nil && len(in.Files) > 0 {
		b.Say("Discarding files from artifact: %s", strings.Join(in.Files, ", "))
	}
	out := &kiln.Artifact{Builder: "packer.post-processor.artifice"}
	for _, pattern := range p.Files {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", pattern, err)
		}
		out.Files = append(out.Files, found...)
	}
	b.Say("Using these artifact files: %s", strings.Join(out.Files, ", "))
	if len(out.Files) == 0 {
		b.Warn("Warning: no file fits %s", strings.Join(p.Files, ", "))
	}
	out.Text = "Created artifact from files: " + strings.Join(out.Files, ", ")
	return out, nil
}
