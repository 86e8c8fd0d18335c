// Package dockersave writes an image with all its layers to a file that `docker
// load` reads.
package dockersave

import (
	"context"
	"errors"
	"fmt"
	"io"

	"kiln"
	"kiln/driver/docker"
)

// PostProcessor saves.
type PostProcessor struct {
	docker.Program `kiln:",squash"`
	// Path of the file.
	Path string `kiln:"path,required"`
}

// Validate reports what is wrong.
func (p *PostProcessor) Validate() error {
	var err error
	if p.Path == "" {
		err = kiln.Invalid("path", "path must be specified")
	}
	return errors.Join(err, p.Program.Check())
}

// Traits: the input is kept.
func (p *PostProcessor) Traits() kiln.Traits { return kiln.Traits{Keep: kiln.Keep{Default: true}} }

// Process saves the image beside its target and moves it there when complete.
func (p *PostProcessor) Process(
	ctx context.Context,
	b *kiln.Build,
	in *kiln.Artifact,
) (*kiln.Artifact, error) {
	if err := docker.Accept(in, "docker-save", docker.ImportID, docker.TagID); err != nil {
		return nil, err
	}
	engine, err := p.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	b.Say("Saving image: %s", in.ID)
	r, err := b.WriteFile(ctx, p.Path, 0o666, func(w io.Writer) error { return save(ctx, engine, in.ID, w) })
	if err != nil {
		return nil, fmt.Errorf("save image %s: %w", in.ID, err)
	}
	// The file is not part of the artifact, which is the image: it stays.
	return in, b.Release(r)
}

func save(ctx context.Context, engine *docker.Engine, id string, w io.Writer) error {
	res, err := engine.ImageSave(ctx, []string{id})
	if err != nil {
		return err
	}
	defer res.Close()
	_, err = io.Copy(w, res)
	return err
}
