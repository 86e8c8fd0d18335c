// Package dockersave writes an image with all its layers to a file that `docker
// load` reads.
package dockersave

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"kiln"
	"kiln/communicator/docker"
)

// PostProcessor saves.
type PostProcessor struct {
	// Path of the file.
	Path string `kiln:"path,required"`
	// The docker program; Kiln speaks to the engine itself.
	DockerPath string `kiln:"docker_path,refused=Kiln speaks to the engine itself and runs no program; DOCKER_HOST names the engine"`
}

// Validate reports what is wrong.
func (p *PostProcessor) Validate() error {
	if p.Path == "" {
		return kiln.Invalid("path", "path must be specified")
	}
	return nil
}

// Keep keeps the input, which is handed on.
func (p *PostProcessor) Keep() kiln.Keep { return kiln.Keep{Default: true} }

// Process saves the image beside its target and moves it there when complete.
func (p *PostProcessor) Process(ctx context.Context, b *kiln.Build, in *kiln.Artifact) (*kiln.Artifact, error) {
	if err := docker.Accept(in, "docker-save", docker.ImportID, docker.TagID); err != nil {
		return nil, err
	}
	engine, err := docker.Open(ctx, "")
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	target, err := filepath.Abs(p.Path)
	if err != nil {
		return nil, err
	}
	b.Say("Saving image: %s", in.ID)
	part := kiln.Resource{Kind: kiln.KindFile, ID: target + ".kiln-" + kiln.RandomName(8)}
	err = b.Own(part, kiln.RemoveFile(part.ID))
	if err != nil {
		return nil, err
	}
	if err := save(ctx, engine, in.ID, part.ID); err != nil {
		return nil, fmt.Errorf("save image %s: %w", in.ID, err)
	}
	if err := os.Rename(part.ID, target); err != nil {
		return nil, fmt.Errorf("move the saved image to its place: %w", err)
	}
	return in, b.Destroy(ctx, part)
}

func save(ctx context.Context, engine *docker.Engine, id, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	res, err := engine.ImageSave(ctx, []string{id})
	if err != nil {
		return err
	}
	return docker.WriteFile(path, res)
}
