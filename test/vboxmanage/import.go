//go:build unix

package main

import (
	"archive/tar"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// imported are the options of a call of import.
type imported struct {
	name, folder string
	set          map[string]string // settings of the machine
	ignore       map[int]bool      // numbers of items that are left out
	keepMACs     bool
	dryRun       bool
}

func importVM(r *registry, args []string) error {
	path, rest, err := first(args, "Not enough arguments for import command: appliance")
	if err != nil {
		return err
	}
	o := &imported{set: map[string]string{}, ignore: map[int]bool{}}
	if err := o.read(rest); err != nil {
		return err
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	switch strings.ToLower(filepath.Ext(path)) {
	case ".ovf":
	case ".ova":
		if dir, err = os.MkdirTemp(r.dir, "ova-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if path, err = unpack(path, dir); err != nil {
			return refuse(fileError, "Appliance read failed: %v", err)
		}
	default:
		return refuse(fileError, "Appliance read failed: '%s' is neither an .ovf nor an .ova file", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return refuse(fileError, "Appliance read failed: Could not find file '%s' (VERR_FILE_NOT_FOUND)", path)
	}
	var e envelope
	if err := xml.Unmarshal(text, &e); err != nil {
		return refuse(fileError, "Appliance read failed: Error reading \"%s\": %v", path, err)
	}
	for _, s := range e.Sections {
		if s.Type == "" {
			return refuse(fileError, "Appliance read failed: Error reading \"%s\": element \"Section\" has no "+
				"\"type\" attribute", path)
		}
	}
	if len(e.Systems) != 1 {
		return refuse(fileError, "Appliance read failed: Error reading \"%s\": %d virtual systems", path,
			len(e.Systems))
	}
	fmt.Println("0%...10%...20%...30%...40%...50%...60%...70%...80%...90%...100%")
	fmt.Printf("Interpreting %s...\nOK.\n", path)
	if o.dryRun {
		return nil
	}
	if err := r.bring(&e, dir, o); err != nil {
		return err
	}
	fmt.Println("0%...10%...20%...30%...40%...50%...60%...70%...80%...90%...100%")
	fmt.Println("Successfully imported the appliance.")
	return nil
}

// read reads the options.
func (o *imported) read(args []string) error {
	g, _, err := flags{
		values: []string{"vsys", "vmname", "unit", "options", "basefolder", "memory", "cpus", "ostype", "description",
			"eula", "disk", "controller"},
		bools: []string{"ignore", "eula-accept", "dry-run"},
		short: map[string]string{"-n": "dry-run"},
	}.parse(args)
	if err != nil {
		return err
	}
	for _, name := range []string{"vmname", "unit", "basefolder", "memory", "cpus", "ostype", "description"} {
		if g.has(name) && g.get("vsys") != "0" {
			return usage("Option --%s requires preceding --vsys argument.", name)
		}
	}
	if g.has("eula") {
		if err := oneOf("--eula", g.get("eula"), "show", "accept"); err != nil {
			return err
		}
	}
	if g.has("ignore") != g.has("unit") || len(g["ignore"]) > len(g["unit"]) {
		return usage("Option --ignore requires preceding --unit option.")
	}
	for _, u := range g["unit"][:len(g["ignore"])] {
		n, err := strconv.Atoi(u)
		if err != nil {
			return usage("Invalid unit '%s'", u)
		}
		o.ignore[n] = true
	}
	for _, opt := range strings.Split(g.get("options"), ",") {
		switch strings.ToLower(opt) {
		case "", "importtovdi", "keepnatmacs":
		case "keepallmacs":
			o.keepMACs = true
		default:
			return usage("Invalid value '%s' for option --options", opt)
		}
	}
	o.name, o.folder, o.dryRun = g.get("vmname"), g.get("basefolder"), g.has("dry-run")
	for _, key := range []string{"memory", "cpus"} {
		if g.has(key) {
			o.set[key] = g.get(key)
		}
	}
	return nil
}

// unpack unpacks an OVA and returns the path of its descriptor.
func unpack(path, dir string) (descriptor string, err error) {
	in, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer in.Close()
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		to := filepath.Join(dir, filepath.Base(h.Name))
		if err := fill(to, r); err != nil {
			return "", err
		}
		if descriptor == "" && strings.EqualFold(filepath.Ext(to), ".ovf") {
			descriptor = to
		}
	}
	if descriptor == "" {
		return "", errors.New("the appliance has no descriptor")
	}
	return descriptor, nil
}

func fill(path string, in io.Reader) error {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// bring makes the machine that a descriptor describes, whose files are in a folder.
func (r *registry) bring(e *envelope, dir string, o *imported) error {
	system := e.Systems[0]
	kind := osTypes[0]
	if system.Box != nil {
		if t, err := findOSType(system.Box.OSType); err == nil {
			kind = t
		}
	}
	m, err := r.newMachine(cmp.Or(o.name, system.ID), cmp.Or(o.folder, r.Folder), kind)
	if err != nil {
		return err
	}
	if system.Box != nil && len(system.Box.Controllers) > 0 {
		err = m.asBefore(system.Box)
	} else {
		err = m.asDescribed(system.Items, o.ignore)
	}
	if err != nil {
		return err
	}
	for k, v := range o.set {
		m.Settings[k] = v
	}
	if !o.keepMACs {
		m.Settings["macaddress1"] = newMAC()
	}
	if err := r.disks(m, e, dir); err != nil {
		return refuse(fileError, "Could not create the imported medium: %v", err)
	}
	r.Machines = append(r.Machines, m)
	return nil
}

// asBefore makes the machine what it was when it was exported.
func (m *machine) asBefore(b *box) error {
	for _, s := range b.Settings {
		if !strings.HasPrefix(s.Name, "vrde") {
			m.Settings[s.Name] = s.Value
		}
	}
	for _, bus := range b.Controllers {
		c, err := m.addController(bus.Name, bus.Bus)
		if err != nil {
			return err
		}
		c.Chip, c.Ports = bus.Type, bus.Ports
		for _, d := range bus.Devices {
			if d.Type == "hdd" && d.Disk == "" {
				continue
			}
			s := &slot{Type: d.Type, Medium: d.Disk, Flags: map[string]string{}}
			if d.Type != "hdd" {
				s.Medium = "" // the drive stays, what was in it is not brought along
			}
			c.Slots[fmt.Sprintf("%d-%d", d.Port, d.Device)] = s
		}
	}
	return nil
}

// asDescribed makes the machine what the standard's part of the descriptor says.
func (m *machine) asDescribed(items []item, ignore map[int]bool) error {
	of := map[string]*controller{}
	for n, i := range items {
		if ignore[n] {
			continue
		}
		bus, name := "", ""
		switch i.ResourceType {
		case itemCPU:
			m.Settings["cpus"] = i.VirtualQuantity
		case itemMemory:
			m.Settings["memory"] = i.VirtualQuantity
		case itemIDE:
			bus, name = "ide", "IDE Controller"
		case itemSATA:
			bus, name = "sata", "SATA Controller"
		case itemSCSI:
			bus, name = "scsi", "SCSI Controller"
		}
		if bus == "" {
			continue
		}
		if known := m.controller(name); known != nil {
			of[i.InstanceID] = known // a second channel of the same
			continue
		}
		c, err := m.addController(name, bus)
		if err != nil {
			return err
		}
		of[i.InstanceID] = c
	}
	for n, i := range items {
		c := of[i.Parent]
		if i.ResourceType != itemDisk || ignore[n] || c == nil {
			continue
		}
		address, _ := strconv.Atoi(i.AddressOnParent)
		per := buses[c.Bus].devices
		_, id, _ := strings.Cut(strings.TrimPrefix(i.HostResource, "ovf:"), "/disk/")
		at := fmt.Sprintf("%d-%d", address/per, address%per)
		c.Slots[at] = &slot{Type: "hdd", Medium: id, Flags: map[string]string{}}
	}
	return nil
}

// disks copies the disks, whose ids stand in the slots, into the machine's folder.
func (r *registry) disks(m *machine, e *envelope, dir string) error {
	for _, c := range m.Controllers {
		for _, s := range c.Slots {
			if s.Medium == "" {
				continue
			}
			href := ""
			for _, d := range e.Disks {
				i := slices.IndexFunc(e.Files, func(f struct {
					ID   string `xml:"id,attr"`
					Href string `xml:"href,attr"`
				}) bool {
					return f.ID == d.FileRef
				})
				if d.ID == s.Medium && i >= 0 {
					href = e.Files[i].Href
				}
			}
			if href == "" {
				return fmt.Errorf("no file is named for the disk %q", s.Medium)
			}
			from, to := filepath.Join(dir, href), m.in(filepath.Base(href))
			if _, err := os.Lstat(to); err == nil {
				return fmt.Errorf("'%s' already exists", to)
			}
			_, size, err := probe(from)
			if err != nil {
				return err
			}
			// A disk as it lies in an appliance cannot be written to.
			if _, err := image("convert", "-O", "vmdk", from, to); err != nil {
				return err
			}
			s.Medium = to
			r.Media = append(r.Media, &medium{Path: to, UUID: newUUID(), Kind: "hdd", Format: "VMDK", Size: size})
		}
	}
	return nil
}
