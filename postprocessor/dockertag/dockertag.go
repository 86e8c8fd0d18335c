// Package dockertag gives an image names.
package dockertag

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"kiln"
	"kiln/driver/docker"
)

// PostProcessor tags.
type PostProcessor struct {
	docker.Program `kiln:",squash"`
	// Name of the image without a tag, such as "registry:5000/team/app".
	Repository string `kiln:"repository,required"`
	// Tags to give it; none is "latest".
	Tags []string `kiln:"tags"`
	// Old name of tags.
	Tag []string `kiln:"tag"`
	// Move a tag that is there; it always does.
	Force bool `kiln:"force"`
}

// Validate reports what is wrong.
func (p *PostProcessor) Validate() error {
	var err error
	if strings.Contains(p.Repository[strings.LastIndexByte(p.Repository, '/')+1:], ":") {
		err = kiln.Invalid("repository", "%q holds a tag: tags stand in tags", p.Repository)
	} else if _, bad := reference.ParseNormalizedNamed(p.Repository); bad != nil && p.Repository != "" {
		err = kiln.Invalid("repository", "%q is no name of an image: it has lower case letters and digits, with "+
			"dots, dashes and underscores between them, and slashes between its parts", p.Repository)
	}
	for _, tag := range slices.Concat(p.Tags, p.Tag) {
		if !reference.TagRegexp.MatchString(tag) || reference.TagRegexp.FindString(tag) != tag {
			err = errors.Join(err, kiln.Invalid("tags", "%q is no tag: it has up to 128 letters, digits, "+
				"underscores, dots and dashes, and begins with none of the last two", tag))
		}
	}
	return errors.Join(err, p.Program.Check())
}

// Traits: the input is kept.
func (p *PostProcessor) Traits() kiln.Traits {
	return kiln.Traits{Keep: kiln.Keep{Default: true, Forced: true}}
}

// Process tags the image.
func (p *PostProcessor) Process(
	ctx context.Context,
	b *kiln.Build,
	in *kiln.Artifact,
) (*kiln.Artifact, error) {
	if err := docker.Accept(in, "docker-tag", docker.ImportID, docker.TagID); err != nil {
		return nil, err
	}
	engine, err := p.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	if len(p.Tag) > 0 {
		b.Warn("Deprecation warning: \"tag\" option has been replaced with \"tags\".")
	}
	var names []string
	for _, t := range append(slices.Clone(p.Tags), p.Tag...) {
		names = append(names, p.Repository+":"+t)
	}
	if len(names) == 0 {
		names = []string{p.Repository}
	}
	out := &kiln.Artifact{Builder: docker.TagID, Tags: names, Data: in.Data}
	for _, name := range names {
		b.Say("Tagging image: %s", in.ID)
		b.Say("Repository: %s", name)
		r, err := engine.Tag(ctx, b, in.ID, name)
		if err != nil {
			return nil, err
		}
		out.Resources = append(out.Resources, r)
		out.ID = name
	}
	out.Text = "Imported Docker image: " + out.ID
	if len(p.Tags)+len(p.Tag) > 0 {
		out.Text += " with tags " + strings.Join(names, " ")
	}
	return out, nil
}
