// Package dockerimport makes an image of a tar file: an exported container, or a
// root file system from elsewhere.
package dockerimport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/moby/moby/client"

	"kiln"
	"kiln/driver/docker"
)

// PostProcessor imports.
type PostProcessor struct {
	docker.Program `kiln:",squash"`
	// Name of the image.
	Repository string `kiln:"repository"`
	// Its tag; "latest" by default.
	Tag string `kiln:"tag"`
	// Dockerfile instructions for the image, such as "CMD [\"/bin/sh\"]".
	Changes []string `kiln:"changes"`
	// os/arch[/variant] of the image.
	Platform string `kiln:"platform"`
}

// artificeID is the builder identifier of files that a build left.
const artificeID = "packer.post-processor.artifice"

// Validate reports what is wrong.
func (p *PostProcessor) Validate() error {
	var err error
	if p.Repository == "" && p.Tag != "" {
		err = kiln.Invalid("tag", "a tag needs a repository")
	}
	return errors.Join(err, p.Program.Check())
}

// Process imports the first file.
func (p *PostProcessor) Process(
	ctx context.Context,
	b *kiln.Build,
	in *kiln.Artifact,
) (*kiln.Artifact, error) {
	if err := docker.Accept(in, "docker-import", docker.ExportID, artificeID); err != nil {
		return nil, err
	}
	if len(in.Files) == 0 {
		return nil, errors.New("the artifact has no file to import")
	}
	engine, err := p.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	b.Say("Importing image: %s", in.ID)
	b.Say("Repository: %s", p.Repository)
	// The image gets a name of ours first: the final one moves to it when it is
	// complete, and an import without a name can be found again.
	name := "kiln-import:" + kiln.RandomName(12)
	working := engine.Resource("tag", name)
	if err := b.Own(working, func(ctx context.Context) error { return docker.Untag(ctx, working) }); err != nil {
		return nil, err
	}
	id, err := p.load(ctx, b, engine, in.Files[0], name)
	if err != nil {
		return nil, fmt.Errorf("import %s: %w", in.Files[0], err)
	}
	out := &kiln.Artifact{Builder: docker.ImportID, ID: id, Data: in.Data}
	if p.Repository == "" {
		// Its only name would go with it: it stays as the working one.
		out.ID = name
		out.Resources = []kiln.Resource{working}
		out.Text = "Imported Docker image: " + out.ID
		return out, b.Release(working)
	}
	out.ID = p.Repository + ":" + p.Tag
	if p.Tag == "" {
		out.ID = p.Repository + ":latest"
	}
	named, err := engine.Tag(ctx, b, id, out.ID)
	if err != nil {
		return nil, err
	}
	out.Resources = []kiln.Resource{named}
	out.Text = "Imported Docker image: " + out.ID
	return out, b.Destroy(ctx, working)
}

// load sends the file to the engine and gives the image's id.
func (p *PostProcessor) load(
	ctx context.Context, b *kiln.Build, engine *docker.Engine, path, name string,
) (string, error) {
	f, err := b.Open(ctx, path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	o := client.ImageImportOptions{Changes: p.Changes}
	if p.Platform != "" {
		o.Platform = docker.Platform(p.Platform)
	}
	res, err := engine.ImageImport(ctx, client.ImageImportSource{Source: f, SourceName: "-"}, name, o)
	if err != nil {
		return "", err
	}
	defer res.Close()
	id := ""
	for m, err := range docker.Messages(ctx, json.NewDecoder(res)) {
		if err != nil {
			return "", err
		}
		if m.Error != nil {
			return "", errors.New(m.Error.Message)
		}
		if strings.HasPrefix(m.Status, "sha256:") {
			id = m.Status
		}
	}
	if id == "" {
		return "", errors.New("the engine named no image")
	}
	return id, nil
}
