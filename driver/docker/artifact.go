package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"kiln"
)

// Builder identifiers of images, which post-processors look at.
const (
	ImportID = "packer.post-processor.docker-import" // an image that was committed, imported or pushed
	TagID    = "packer.post-processor.docker-tag"    // an image that was given names
	ExportID = "packer.docker"                       // an exported file
)

// Platform reads os/arch[/variant], of which the engine judges.
func Platform(text string) ocispec.Platform {
	parts := strings.SplitN(text+"//", "/", 4)
	return ocispec.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
}

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

// Tag gives an image one more name, which the build releases to its artifact. A name
// that another image had goes back to that one if the build fails.
func (e *Engine) Tag(ctx context.Context, b *kiln.Build, image, name string) (kiln.Resource, error) {
	r := e.Resource("tag", name)
	of, err := e.ImageInspect(ctx, image)
	if err != nil {
		return r, fmt.Errorf("look at %s: %w", image, err)
	}
	before, err := e.ImageInspect(ctx, name)
	switch {
	case err == nil && before.ID != of.ID:
		r.Kind, r.Attrs["before"] = "retag", before.ID
	case err != nil && !Absent(err):
		return r, fmt.Errorf("look at %s: %w", name, err)
	}
	r.Mark = of.ID
	if len(of.RepoTags) == 0 {
		r.Attrs["unnamed"] = "true"
	}
	if err == nil && before.ID == of.ID {
		return r, nil // it has that name already, and keeps it if the build fails
	}
	if err := b.Own(r, func(ctx context.Context) error { return Untag(ctx, r) }); err != nil {
		return r, err
	}
	if _, err := e.ImageTag(ctx, client.ImageTagOptions{Source: image, Target: name}); err != nil {
		return r, fmt.Errorf("tag %s: %w", name, err)
	}
	return r, b.Release(r)
}

// Untag takes a name of an image away again, or gives it back to the image that
// had it: kinds tag and retag. A name that is another image's by now is left alone.
func Untag(ctx context.Context, r kiln.Resource) error {
	engine, err := Open(ctx, r.Attrs["host"])
	if err != nil {
		return err
	}
	defer engine.Close()
	now, err := engine.ImageInspect(ctx, r.ID)
	if Absent(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", r.ID, err)
	}
	if r.Mark != "" && now.ID != r.Mark && now.Comment != placeholder {
		return kiln.ErrReplaced
	}
	if before := r.Attrs["before"]; before != "" {
		_, err := engine.ImageTag(ctx, client.ImageTagOptions{Source: before, Target: r.ID})
		if !Absent(err) {
			return err
		}
		// That image is gone meanwhile.
	}
	if now.ID == r.Mark && len(now.RepoTags) == 1 && r.Attrs["unnamed"] != "" {
		// Whose the image is, it stays. To take away the last name of an image is to remove
		// it, so the name goes to an empty one first.
		if err := engine.ImportEmpty(ctx, r.ID); err != nil {
			return fmt.Errorf("take the name %s away: %w", r.ID, err)
		}
	}
	_, err = engine.ImageRemove(ctx, r.ID, client.ImageRemoveOptions{PruneChildren: true})
	if Absent(err) {
		return nil
	}
	return err
}

// placeholder is the comment of empty images, which stand in for another one as it loses a
// name.
const placeholder = "kiln: a name that is being taken away"

// ImportEmpty makes an image without files.
func (e *Engine) ImportEmpty(ctx context.Context, name string) error {
	var text bytes.Buffer
	if err := tar.NewWriter(&text).Close(); err != nil {
		return err
	}
	source := client.ImageImportSource{Source: &text, SourceName: "-"}
	res, err := e.ImageImport(ctx, source, name, client.ImageImportOptions{Message: placeholder})
	if err != nil {
		return err
	}
	defer res.Close()
	for m, err := range Messages(ctx, json.NewDecoder(res)) {
		if err != nil {
			return err
		}
		if m.Error != nil {
			return errors.New(m.Error.Message)
		}
	}
	return nil
}
