package docker

import (
	"context"
	"fmt"
	"slices"

	"github.com/moby/moby/client"

	"kiln"
)

// Builder identifiers of images, which post-processors look at.
const (
	ImportID = "packer.post-processor.docker-import" // an image that was committed, imported or pushed
	TagID    = "packer.post-processor.docker-tag"    // an image that was given names
	ExportID = "packer.docker"                       // an exported file
)

// Accept refuses an artifact that is not of the kinds that a post-processor takes.
func Accept(in *kiln.Artifact, what string, kinds ...string) error {
	if slices.Contains(kinds, in.Builder) {
		return nil
	}
	return fmt.Errorf("Unknown artifact type: %s\n%s can only use the artifacts of %v", in.Builder, what, kinds)
}

// Resource names a thing on the engine, for the reaper of the docker builder.
func (e *Engine) Resource(kind, id string) kiln.Resource {
	return kiln.Resource{Owner: "builder.docker", Kind: kind, ID: id, Attrs: map[string]string{"host": e.Host}}
}

// Untag takes a name of an image away again, or gives it back to the image that
// had it: kinds tag and retag.
func Untag(ctx context.Context, r kiln.Resource) error {
	engine, err := Open(ctx, r.Attrs["host"])
	if err != nil {
		return err
	}
	defer engine.Close()
	if before := r.Attrs["before"]; before != "" {
		_, err = engine.ImageTag(ctx, client.ImageTagOptions{Source: before, Target: r.ID})
	} else {
		_, err = engine.ImageRemove(ctx, r.ID, client.ImageRemoveOptions{PruneChildren: true})
	}
	if Absent(err) {
		return nil
	}
	return err
}
