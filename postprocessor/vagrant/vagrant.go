// Package vagrant makes a Vagrant box of an artifact: a gzipped tar with its disks or, for machines in a
// cloud, with no more than their names.
package vagrant

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"

	"kiln"
	"kiln/archive"
)

// PostProcessor makes boxes.
type PostProcessor struct {
	// Path of the box, with {{.ArtifactId}}, {{.BuildName}}, {{.Provider}} and {{.Architecture}}.
	Output string `kiln:"output,default=packer_{{ .BuildName }}_{{ .Provider }}_{{ .Architecture }}.box,render=run"`
	// From 1 (fast) to 9 (small); 0: not compressed at all; -1: as gzip does by itself.
	CompressionLevel int `kiln:"compression_level,default=-1"`
	// Files that are put into the box beside its own, under their base names.
	Include []string `kiln:"include,file"`
	// File whose text, with the same {{ }} values as output, is added to the box's Vagrantfile.
	VagrantfileTemplate string `kiln:"vagrantfile_template,file"`
	// The build makes that file: it does not need to be there before.
	VagrantfileTemplateGenerated bool `kiln:"vagrantfile_template_generated"`
	// The provider that the box is for, where the artifact does not say it (artifice), or it is to be another.
	ProviderOverride string `kiln:"provider_override"`
	// The box's architecture, as Vagrant names it; by default that of this machine.
	Architecture string `kiln:"architecture"`
	// Other values of these options for single providers.
	Override Overrides `kiln:"override"`
}

// BoxID is the builder identifier of boxes.
const BoxID = "mitchellh.post-processor.vagrant"

// Validate reports what is wrong.
func (p *PostProcessor) Validate() error {
	if p.Architecture == "" {
		p.Architecture = runtime.GOARCH
		if p.Architecture == "386" {
			p.Architecture = "i386" // as Vagrant calls it
		}
	}
	var errs []error
	if p.ProviderOverride != "" && providers[p.ProviderOverride].box == nil {
		errs = append(errs, kiln.Invalid("provider_override", "there is no provider %q; known are %s",
			p.ProviderOverride, strings.Join(slices.Sorted(maps.Keys(providers)), ", ")))
	}
	for _, provider := range append([]string{""}, slices.Sorted(maps.Keys(providers))...) {
		at := ""
		if provider != "" {
			at = "override." + provider + "."
		}
		if level := p.with(provider).CompressionLevel; level < -1 || level > 9 {
			errs = append(errs, kiln.Invalid(at+"compression_level",
				"compression_level is from 1 to 9, 0 for none, or -1 for the default, not %d", level))
			if provider == "" {
				break // the others have it from here
			}
		}
	}
	// Those of overrides are looked at when one is used: most templates have some for providers that are not.
	if p.VagrantfileTemplate != "" && !p.VagrantfileTemplateGenerated {
		if _, err := os.Stat(p.VagrantfileTemplate); err != nil {
			errs = append(errs, kiln.Invalid("vagrantfile_template", "vagrantfile_template: %v. One that the "+
				"build makes itself needs vagrantfile_template_generated = true", err))
		}
	}
	return errors.Join(errs...)
}

// KeepOf tells what becomes of the input: a box that is no more than a reference to it would be of no
// use without.
func (p *PostProcessor) KeepOf(in *kiln.Artifact) kiln.Keep {
	name, err := p.provider(in)
	return kiln.Keep{Default: err == nil && providers[name].reference, Forced: true}
}

// provider is the name of the provider that the box of an artifact is for.
func (p *PostProcessor) provider(in *kiln.Artifact) (string, error) {
	name := cmp.Or(p.ProviderOverride, providerOf[in.Builder])
	switch {
	case name != "":
		return name, nil
	case in.Builder == "packer.post-processor.artifice":
		return "", errors.New("the artifact is of files that artifice named, which may be for any provider: " +
			"provider_override must say for which the box is")
	}
	return "", fmt.Errorf("Unknown artifact type, can't build box: %s", in.Builder)
}

// Process makes the box.
func (p *PostProcessor) Process(
	ctx context.Context, b *kiln.Build, in *kiln.Artifact,
) (*kiln.Artifact, error) {
	name, err := p.provider(in)
	if err != nil {
		return nil, err
	}
	b.Say("Creating Vagrant box for '%s' provider", name)
	p = p.with(name)
	vars := maps.Clone(in.Data)
	if vars == nil {
		vars = map[string]any{}
	}
	maps.Copy(vars, map[string]any{
		"ArtifactId": in.ID, "BuildName": b.Source, "Provider": name, "Architecture": p.Architecture,
	})
	target, err := b.Render(p.Output, vars)
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	w := &work{ctx: ctx, b: b, in: in}
	x, err := providers[name].box(w)
	if err != nil {
		return nil, fmt.Errorf("box for %s: %w", name, err)
	}
	entries, err := p.entries(w, x, vars)
	if err != nil {
		return nil, fmt.Errorf("box for %s: %w", name, err)
	}
	made, err := p.write(ctx, b, target, entries)
	if err != nil {
		return nil, fmt.Errorf("write the box %s: %w", target, err)
	}
	return &kiln.Artifact{
		Builder: BoxID, ID: name, Files: []string{target}, Resources: []kiln.Resource{made},
		Text: fmt.Sprintf("'%s' provider box: %s", name, target),
	}, b.Release(made)
}

// write writes the box as a stream, straight from the files that go into it.
func (p *PostProcessor) write(
	ctx context.Context, b *kiln.Build, target string, entries []archive.Entry,
) (kiln.Resource, error) {
	algorithm := "gz"
	if p.CompressionLevel == 0 {
		algorithm = ""
	}
	for _, e := range entries {
		b.Say("Compressing: %s", e.Name)
	}
	return b.WriteFile(ctx, target, 0o666, func(out io.Writer) error {
		c, err := archive.Compressor(out, algorithm, p.CompressionLevel)
		if err != nil {
			return err
		}
		return errors.Join(archive.WriteEntries(c, entries), c.Close())
	})
}
