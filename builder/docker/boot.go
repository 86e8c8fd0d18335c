package docker

import (
	"context"
	"fmt"

	"kiln"
	"kiln/driver/docker"
)

// BootFrom runs a container of an image. The image is used as it is on the engine: what does not
// say how to keep a container running is run with a shell that waits.
func (c *Builder) BootFrom(ctx context.Context, b *kiln.Build, from *kiln.Artifact) (kiln.Booted, error) {
	if from.ID == "" || len(from.Files) > 0 {
		return nil, fmt.Errorf("%w: %s is no image on an engine: import it first", kiln.ErrInvalid, from)
	}
	cfg := *c
	cfg.Image, cfg.Build, cfg.Pull = from.ID, nil, false
	cfg.Commit, cfg.ExportPath, cfg.Discard = false, "", true
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	engine, err := cfg.Open(ctx)
	if err != nil {
		return nil, err
	}
	m := &machine{cfg: &cfg, b: b, engine: engine}
	source, err := engine.ImageInspect(ctx, cfg.Image)
	switch {
	case docker.Absent(err):
		return nil, fmt.Errorf("image %s: %w on the engine", cfg.Image, kiln.ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("look at image %s: %w", cfg.Image, err)
	}
	m.source = source.InspectResponse
	m.chain.from = m.source.ID
	if err := m.share(); err != nil {
		return nil, err
	}
	if err := m.create(ctx); err != nil {
		return nil, err
	}
	return m, m.ready(ctx)
}
