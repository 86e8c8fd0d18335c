//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// formats are VirtualBox's names of disk formats and QEMU's, which hold the same.
var formats = map[string]string{"VDI": "vdi", "VMDK": "vmdk", "VHD": "vpc", "QCOW": "qcow2", "RAW": "raw"}

// image runs qemu-img.
func image(args ...string) (string, error) {
	out, err := exec.Command("qemu-img", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("qemu-img %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// probe says what is in a disk's file: its format, and its size in MiB.
func probe(path string) (format string, size int64, err error) {
	out, err := image("info", "-U", "--output=json", path)
	if err != nil {
		return "", 0, err
	}
	var info struct {
		Format string
		Size   int64 `json:"virtual-size"`
	}
	if err := json.Unmarshal([]byte(out), &info); err != nil {
		return "", 0, err
	}
	for name, theirs := range formats {
		if theirs == info.Format {
			return name, info.Size >> 20, nil
		}
	}
	return "", 0, fmt.Errorf("its format is %s", info.Format)
}

func createHD(r *registry, args []string) error { return create(r, args) }

func createMedium(r *registry, args []string) error {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		if args[0] != "disk" {
			return usage("only disks are made here, not '%s'", args[0])
		}
		args = args[1:]
	}
	return create(r, args)
}

func create(r *registry, args []string) error {
	g, _, err := flags{values: []string{"filename", "size", "sizebyte", "format", "variant", "diffparent"}}.parse(args)
	if err != nil {
		return err
	}
	path, err := filepath.Abs(g.get("filename"))
	format := strings.ToUpper(g.get("format"))
	if format == "" {
		format = "VDI"
	}
	switch {
	case err != nil:
		return err
	case g.get("filename") == "":
		return usage("Parameter --filename is required")
	case g.has("diffparent"):
		return usage("differencing disks are not made here")
	case formats[format] == "" || format == "RAW":
		return refuse(notFound, "The medium format '%s' is not recognized", format)
	case g.get("size") == "" && g.get("sizebyte") == "":
		return usage("Parameter --size is required")
	}
	if g.has("variant") {
		if err := oneOf("--variant", g.get("variant"), "Standard", "Fixed", "Split2G", "Stream", "ESX"); err != nil {
			return err
		}
	}
	if filepath.Ext(path) == "" {
		path += "." + strings.ToLower(format)
	}
	size := g.get("size")
	if size == "" {
		n, err := strconv.ParseInt(g.get("sizebyte"), 10, 64)
		if err != nil {
			return usage("Invalid size '%s'", g.get("sizebyte"))
		}
		size = strconv.FormatInt(n>>20, 10)
	}
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n <= 0 {
		return usage("Invalid size '%s'", size)
	}
	if _, err := os.Lstat(path); err == nil || r.medium(path) != nil {
		return refuse(fileError, "Cannot register the hard disk '%s': it already exists (VERR_ALREADY_EXISTS)", path)
	}
	if _, err := image("create", "-f", formats[format], path, size+"M"); err != nil {
		return refuse(fileError, "Could not create the medium storage unit '%s': %v", path, err)
	}
	med := &medium{Path: path, UUID: newUUID(), Kind: "hdd", Format: format, Size: n}
	r.Media = append(r.Media, med)
	fmt.Println("0%...10%...20%...30%...40%...50%...60%...70%...80%...90%...100%")
	fmt.Printf("Medium created. UUID: %s\n", med.UUID)
	return nil
}

// named takes the kind and the name of a medium off a call.
func (r *registry) named(args []string) (*medium, []string, error) {
	if len(args) > 0 {
		switch args[0] {
		case "disk", "dvd", "floppy":
			args = args[1:]
		}
	}
	name, rest, err := first(args, "Medium name")
	if err != nil {
		return nil, nil, err
	}
	med := r.medium(name)
	if med == nil {
		abs, _ := filepath.Abs(name)
		return nil, rest, refuse(notFound, "Could not find an open medium with location '%s'", abs)
	}
	return med, rest, nil
}

func closeMedium(r *registry, args []string) error {
	med, rest, err := r.named(args)
	if err != nil {
		return err
	}
	g, _, err := flags{bools: []string{"delete"}}.parse(rest)
	if err != nil {
		return err
	}
	if m := r.user(med.Path); m != nil {
		return refuse(inUse, "Cannot close medium '%s' because it is still attached to the machine '%s'",
			med.Path, m.Name)
	}
	r.forget(med.Path)
	if !g.has("delete") {
		return nil
	}
	if err := os.Remove(med.Path); err != nil {
		return refuse(fileError, "Could not delete the medium storage unit '%s'", med.Path)
	}
	return nil
}

func showMedium(r *registry, args []string) error {
	med, _, err := r.named(args)
	if err != nil {
		return err
	}
	fmt.Printf("UUID:           %s\nState:          created\nType:           normal (base)\nLocation:       %s\n"+
		"Storage format: %s\nCapacity:       %d MBytes\n", med.UUID, med.Path, med.Format, med.Size)
	if m := r.user(med.Path); m != nil {
		fmt.Printf("In use by VMs:  %s (UUID: %s)\n", m.Name, m.UUID)
	}
	return nil
}

func modifyMedium(r *registry, args []string) error {
	med, rest, err := r.named(args)
	if err != nil {
		return err
	}
	g, _, err := flags{
		values: []string{"resize", "type", "autoreset"}, bools: []string{"compact"},
	}.parse(rest)
	if err != nil {
		return err
	}
	if m := r.user(med.Path); m != nil && m.running() {
		return m.isLocked()
	}
	if !g.has("resize") {
		return nil // the others change nothing that shows
	}
	n, err := strconv.ParseInt(g.get("resize"), 10, 64)
	if err != nil || n < med.Size {
		return refuse(notPossible, "Shrinking is not yet supported for medium '%s'", med.Path)
	}
	if _, err := image("resize", "-f", formats[med.Format], med.Path, g.get("resize")+"M"); err != nil {
		return refuse(fileError, "%v", err)
	}
	med.Size = n
	return nil
}

func cloneMedium(r *registry, args []string) error {
	if len(args) > 0 && args[0] == "disk" {
		args = args[1:]
	}
	g, words, err := flags{values: []string{"format", "variant"}, bools: []string{"existing"}, max: 2}.parse(args)
	switch {
	case err != nil:
		return err
	case len(words) != 2:
		return usage("Mandatory input or output medium parameter missing")
	}
	from, err := r.openMedium(words[0], "hdd")
	if err != nil {
		return err
	}
	to, err := filepath.Abs(words[1])
	if err != nil {
		return err
	}
	format := strings.ToUpper(g.get("format"))
	if format == "" {
		format = from.Format
	}
	if formats[format] == "" {
		return refuse(notFound, "The medium format '%s' is not recognized", format)
	}
	if _, err := os.Lstat(to); err == nil {
		return refuse(fileError, "Cannot register the hard disk '%s': it already exists (VERR_ALREADY_EXISTS)", to)
	}
	if _, err := image("convert", "-f", formats[from.Format], "-O", formats[format], from.Path, to); err != nil {
		return refuse(fileError, "%v", err)
	}
	med := &medium{Path: to, UUID: newUUID(), Kind: "hdd", Format: format, Size: from.Size}
	r.Media = append(r.Media, med)
	fmt.Printf("Clone medium created in format '%s'. UUID: %s\n", format, med.UUID)
	return nil
}
