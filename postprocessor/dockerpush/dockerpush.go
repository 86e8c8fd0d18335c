// Package dockerpush sends an image to a registry.
package dockerpush

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"kiln"
	"kiln/driver/docker"
)

// PostProcessor pushes.
type PostProcessor struct {
	docker.Program `kiln:",squash"`
	docker.Login   `kiln:",squash"`
	// os/arch[/variant] of the image to push, of one that has several.
	Platform string `kiln:"platform"`
}

// Validate reports what is wrong.
func (p *PostProcessor) Validate() error {
	return errors.Join(p.Login.Check(), p.Program.Check())
}

// Traits: the input is kept.
func (p *PostProcessor) Traits() kiln.Traits { return kiln.Traits{Keep: kiln.Keep{Default: true}} }

// Process pushes every name of the image, each once.
func (p *PostProcessor) Process(
	ctx context.Context,
	b *kiln.Build,
	in *kiln.Artifact,
) (*kiln.Artifact, error) {
	if err := docker.Accept(in, "docker-push", docker.ImportID, docker.TagID); err != nil {
		return nil, err
	}
	engine, err := p.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	names := slices.Clone(in.Tags)
	if !strings.HasPrefix(in.ID, "sha256:") && !slices.Contains(names, in.ID) {
		names = append([]string{in.ID}, names...)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf(
			"the image %s has no name to push it under: put docker-tag before docker-push",
			in.ID,
		)
	}
	for _, name := range names {
		b.Say("Pushing: %s", name)
		if err := p.push(ctx, b, engine, name); err != nil {
			return nil, fmt.Errorf("Bad exit status: push %s: %w", name, err)
		}
	}
	out := *in
	out.Builder = docker.ImportID
	out.Data = map[string]any{}
	for k, v := range in.Data {
		out.Data[k] = v
	}
	if info, err := engine.ImageInspect(ctx, in.ID); err == nil && len(info.RepoDigests) > 0 {
		out.Data["Digest"] = info.RepoDigests[0]
		b.Set("Digest", info.RepoDigests[0])
	}
	return &out, nil
}

func (p *PostProcessor) push(ctx context.Context, b *kiln.Build, engine *docker.Engine, name string) error {
	auth, err := p.Header(name)
	if err != nil {
		return err
	}
	o := client.ImagePushOptions{RegistryAuth: auth}
	if p.Platform != "" {
		platform := docker.Platform(p.Platform)
		o.Platform = &platform
	}
	res, err := engine.ImagePush(ctx, name, o)
	if err != nil {
		return err
	}
	defer res.Close()
	return docker.Follow(b, name, res.JSONMessages(ctx))
}
