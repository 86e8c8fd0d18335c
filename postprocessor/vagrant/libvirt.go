package vagrant

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"kiln/driver/disk"
)

// fact is what the artifact's builder says of it under a name.
func (w *work) fact(name string) string {
	if v := w.in.Labels[name]; v != "" {
		return v
	}
	if v, ok := w.in.Data[name]; ok {
		return fmt.Sprint(v)
	}
	return ""
}

// libvirt takes the disks, box_0.img, box_1.img and so on, and names the format of each.
func libvirt(w *work) (*contents, error) {
	paths, err := w.disks()
	if err != nil {
		return nil, err
	}
	x := &contents{metadata: named("libvirt")}
	var listed []map[string]string
	for i, path := range paths {
		name := fmt.Sprintf("box_%d.img", i)
		image, err := disk.Look(path)
		if err != nil {
			return nil, err
		}
		format := cmp.Or(image.Format, w.fact("diskType"), disk.Raw)
		if format != disk.QCOW2 {
			w.b.Warn("%s is a %s disk, and vagrant-libvirt takes qcow2 alone: the builder's format = \"qcow2\", or "+
				"the post-processor disk-convert before this one, makes such", path, format)
		}
		if image.Backing != "" {
			w.b.Warn("%s stands on %s, which is not in the box: it serves on this machine only. The builder's "+
				"use_backing_file = false, or the post-processor disk-convert before this one, makes it stand alone",
				path, image.Backing)
		}
		e, err := w.file(path, name)
		if err != nil {
			return nil, err
		}
		x.files = append(x.files, e)
		listed = append(listed, map[string]string{"path": name, "format": format})
	}
	x.metadata["disks"] = listed
	switch domain := w.fact("domainType"); domain {
	case "":
	case "none", "tcg", "hvf":
		x.vagrantfile = configure("libvirt", `libvirt.driver = "qemu"`)
	case "kvm":
		x.vagrantfile = configure("libvirt", `libvirt.driver = "kvm"`)
	default:
		return nil, fmt.Errorf("Unknown libvirt domain type: %s", domain)
	}
	return x, nil
}

// disks are the paths of the artifact's disks, the main one first: what is named as the builder says
// or, where it says nothing, what looks like one.
func (w *work) disks() ([]string, error) {
	var found []string
	if name := w.fact("diskName"); name != "" {
		for _, path := range w.in.Files {
			if strings.HasPrefix(filepath.Base(path), name) {
				found = append(found, path)
			}
		}
		// The tenth disk is not the second.
		slices.SortStableFunc(found, func(a, b string) int {
			return cmp.Compare(number(a, name), number(b, name))
		})
	} else {
		for _, path := range w.in.Files {
			image, err := disk.Look(path)
			if err != nil {
				return nil, err
			}
			if image.Format != "" {
				found = append(found, path)
			}
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no file of the artifact is a disk")
	}
	return found, nil
}

// number is that of a disk, which ends its file's name after the main disk's and a dash; 0 for that one,
// and for what is named otherwise.
func number(path, main string) int {
	rest := strings.TrimPrefix(strings.TrimPrefix(filepath.Base(path), main), "-")
	n, _ := strconv.Atoi(rest)
	return n
}
