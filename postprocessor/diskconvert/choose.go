package diskconvert

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"kiln"
	"kiln/driver/disk"
)

// source is a disk that is to be converted.
type source struct {
	path, format string // as qemu-img calls it
}

// extent is the name of a file that is a part of another vmdk.
var extent = regexp.MustCompile(`^(.*)-(?:flat|[sf][0-9]{3})\.vmdk$`)

// Extensions of raw disks, of what goes with disks because guests keep their boot entries in it, and
// of all disks.
var (
	rawNames = []string{".raw", ".img", ".dd"}
	firmware = []string{".fd", ".nvram"}
	allNames = append(slices.Clone(rawNames), ".qcow2", ".vmdk", ".vhd", ".vpc", ".vdi", ".vhdx")
)

// name is that of the disk's file without an extension that disks have.
func (s source) name() string {
	base := filepath.Base(s.path)
	if ext := filepath.Ext(base); slices.Contains(allNames, strings.ToLower(ext)) && ext != base {
		return strings.TrimSuffix(base, ext)
	}
	return base
}

// choose finds the disks among the artifact's files, and what goes along with them. What is neither is
// told, or all of it refused where there is no disk.
func (p *PostProcessor) choose(b *kiln.Build, in *kiln.Artifact) (disks []source, along []string, err error) {
	var rest []string
	for _, path := range in.Files {
		switch format, err := p.formatOf(in, path); {
		case err != nil:
			return nil, nil, err
		case slices.Contains(firmware, strings.ToLower(filepath.Ext(path))):
			along = append(along, path)
		case format == part:
		case format != "":
			disks = append(disks, source{path, format})
		default:
			rest = append(rest, path)
		}
	}
	if len(disks) > 0 {
		for _, path := range rest {
			b.Say("%s is not a disk: it is no part of the result", path)
		}
		return disks, along, nil
	}
	if len(in.Files) == 0 {
		return nil, nil, fmt.Errorf("the artifact %s has no files, and so no disk to convert", in.ID)
	}
	for _, path := range rest {
		if strings.EqualFold(filepath.Ext(path), ".ova") {
			return nil, nil, fmt.Errorf("%s holds its disk in an archive, which is not opened: unpack it (tar -xf), or "+
				"let the builder export with format = \"ovf\"", path)
		}
	}
	return nil, nil, fmt.Errorf("no file of the artifact is a disk: %s. What a file is that does not tell, such as "+
		"a raw file system, source_format says", strings.Join(append(rest, along...), ", "))
}

// part is the format of a file that belongs to another.
const part = "part"

// formatOf is the format of a disk; "": the file is none. What the template or the builder says wins: a
// guest may have written to a raw disk what looks like another format.
func (p *PostProcessor) formatOf(in *kiln.Artifact, path string) (string, error) {
	if m := extent.FindStringSubmatch(filepath.Base(path)); m != nil &&
		slices.Contains(in.Files, filepath.Join(filepath.Dir(path), m[1]+".vmdk")) {
		return part, nil
	}
	image, err := disk.Look(path)
	if err != nil {
		return "", err
	}
	if p.SourceFormat != "" {
		return qemuName(p.SourceFormat), nil
	}
	name, format := fact(in, "diskName"), fact(in, "diskType")
	if name != "" && format != "" && strings.HasPrefix(filepath.Base(path), name) {
		return format, nil
	}
	if image.Format == "" && slices.Contains(rawNames, strings.ToLower(filepath.Ext(path))) {
		return disk.Raw, nil
	}
	return image.Format, nil
}

// fact is what the artifact's builder says of it under a name.
func fact(in *kiln.Artifact, name string) string {
	if v := in.Labels[name]; v != "" {
		return v
	}
	if v, ok := in.Data[name]; ok {
		return fmt.Sprint(v)
	}
	return ""
}

// labels are what the builder said of the disks, as far as it holds for the results too.
func (p *PostProcessor) labels(in *kiln.Artifact, targets []string) map[string]string {
	labels := map[string]string{"diskType": qemuName(p.Format)}
	for _, name := range []string{"domainType", "diskSize"} {
		if v := fact(in, name); v != "" {
			labels[name] = v
		}
	}
	// The disks of a machine are known by how their names begin.
	if len(targets) == 1 {
		labels["diskName"] = filepath.Base(targets[0])
	}
	return labels
}
