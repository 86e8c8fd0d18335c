// Package diskconvert makes disk images of another format of an artifact's disks, by qemu-img.
package diskconvert

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"kiln"
	"kiln/driver/disk"
	"kiln/driver/qemu"
)

// PostProcessor converts disks.
type PostProcessor struct {
	// What the disks become.
	Format string `kiln:"format,required,oneof=raw|qcow2|vmdk|vhd|vdi|vhdx"`
	// Path of each result, with {{.BuildName}}, {{.BuilderType}}, {{.Name}} (of the disk's file, without extension), {{.Index}} (from 0) and {{.Format}}.
	Output string `kiln:"output,default=packer_{{.BuildName}}_{{.Name}}.{{.Format}},render=run"`
	// How the format is laid out: for vmdk monolithicSparse or streamOptimized (for OVF and clouds), for vhd, vhdx and vdi dynamic or fixed. By default the one that grows.
	Subformat string `kiln:"subformat"`
	// Compress what is in the disk: for qcow2, and for vmdk, where it is streamOptimized.
	Compression bool `kiln:"compression"`
	// Further options of qemu-img for the format (-o), such as cluster_size or adapter_type.
	Options map[string]string `kiln:"options"`
	// What the disks are. By default what stands in the files tells; a raw disk is known by its partitions, by its name (.raw, .img, .dd), or because its builder says so. With it, all files are taken for disks.
	SourceFormat string `kiln:"source_format,oneof=raw|qcow2|vmdk|vhd|vdi|vhdx"`
}

// ArtifactID is the builder identifier of converted disks.
const ArtifactID = "kiln.post-processor.disk-convert"

// subformats are the layouts of each format that are one file, the default one first.
var subformats = map[string][]string{
	disk.VMDK: {"monolithicSparse", "streamOptimized"},
	disk.VHD:  {"dynamic", "fixed"}, disk.VHDX: {"dynamic", "fixed"}, disk.VDI: {"dynamic", "fixed"},
}

// qemuName is what qemu-img calls a format.
func qemuName(format string) string {
	if format == "vhd" {
		return disk.VHD
	}
	return format
}

// Validate reports what is wrong.
func (p *PostProcessor) Validate() error {
	var errs []error
	known := subformats[qemuName(p.Format)]
	switch {
	case p.Subformat == "" || slices.Contains(known, p.Subformat):
	case len(known) == 0:
		errs = append(errs, kiln.Invalid("subformat", "%s has no subformats", p.Format))
	case strings.HasSuffix(p.Subformat, "Flat") || strings.HasSuffix(p.Subformat, "Sparse"):
		errs = append(errs, kiln.Invalid("subformat", "%s makes several files, of which one may be missing: %s are "+
			"one", p.Subformat, strings.Join(known, " and ")))
	default:
		errs = append(errs, kiln.Invalid("subformat", "%s has no subformat %q; known are %s", p.Format, p.Subformat,
			strings.Join(known, ", ")))
	}
	if p.Compression && (p.Format != disk.QCOW2 && p.Format != disk.VMDK || p.Subformat == "monolithicSparse") {
		errs = append(errs, kiln.Invalid("compression",
			"only qcow2, and vmdk as streamOptimized, can be compressed; compress packs any disk"))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Options)) {
		switch {
		case name == "subformat":
			errs = append(errs, kiln.Invalid("options", "subformat is an option of its own"))
		case strings.HasPrefix(name, "backing_") || strings.HasPrefix(name, "data_file"):
			errs = append(errs, kiln.Invalid("options", "%s would make a disk that does not stand alone", name))
		case name == "" || strings.ContainsAny(name, "=,"):
			errs = append(errs, kiln.Invalid("options", "%q is no name of an option", name))
		}
	}
	if _, err := exec.LookPath("qemu-img"); err != nil {
		errs = append(errs, kiln.Caution("format", "qemu-img is needed and was not found: %s", qemu.InstallImg))
	}
	return errors.Join(errs...)
}

// Process converts the disks one after another: each is done as fast as the disk beneath allows.
func (p *PostProcessor) Process(
	ctx context.Context, b *kiln.Build, in *kiln.Artifact,
) (*kiln.Artifact, error) {
	disks, along, err := p.choose(b, in)
	if err != nil {
		return nil, err
	}
	targets, err := p.targets(b, in, disks)
	if err != nil {
		return nil, err
	}
	out := &kiln.Artifact{Builder: ArtifactID, ID: p.Format, Data: in.Data}
	var made []kiln.Resource
	for i, d := range disks {
		b.Say("Converting %s (%s) to %s: %s", d.path, d.format, p.Format, targets[i])
		r, err := b.MakeFile(ctx, targets[i], func(part string) error { return p.convert(ctx, b, d, part) })
		if err != nil {
			return nil, fmt.Errorf("convert %s to %s: %w", d.path, targets[i], err)
		}
		made = append(made, r)
	}
	out.Files = append(out.Files, targets...)
	out.Resources = slices.Clone(made)
	for _, path := range along {
		out.Files = append(out.Files, path)
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		for _, r := range in.Resources {
			if r.Same(kiln.Resource{Kind: kiln.KindFile, ID: abs}) {
				out.Resources = append(out.Resources, r)
			}
		}
	}
	out.Labels = p.labels(in, targets)
	out.Text = "converted disks: " + strings.Join(targets, ", ")
	for _, r := range made {
		if err := b.Release(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// targets are the paths of the results.
func (p *PostProcessor) targets(b *kiln.Build, in *kiln.Artifact, disks []source) ([]string, error) {
	var all []string
	taken := map[string]string{} // by absolute path
	for _, path := range in.Files {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		taken[abs] = path
	}
	for i, d := range disks {
		vars := maps.Clone(in.Data)
		if vars == nil {
			vars = map[string]any{}
		}
		maps.Copy(vars, map[string]any{
			"BuildName": b.Source, "BuilderType": b.Type, "Name": d.name(), "Index": i, "Format": p.Format,
		})
		target, err := b.Render(p.Output, vars)
		if err != nil {
			return nil, fmt.Errorf("output: %w", err)
		}
		abs, err := filepath.Abs(target)
		if err != nil {
			return nil, err
		}
		if other, ok := taken[abs]; ok && other == d.path {
			return nil, fmt.Errorf("output: %s is the disk itself", target)
		} else if ok {
			return nil, fmt.Errorf("output: %s and %s would both be %s: {{.Name}} or {{.Index}} tells disks apart",
				other, d.path, target)
		}
		taken[abs] = d.path
		all = append(all, target)
	}
	return all, nil
}
