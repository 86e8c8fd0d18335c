//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// buses are the kinds of controllers: their chips, the first is the default, how many
// ports they may have and how many they have, and how many devices a port has.
var buses = map[string]struct {
	chips       []string
	most, usual int
	devices     int
}{
	"ide":    {[]string{"PIIX4", "PIIX3", "ICH6"}, 2, 2, 2},
	"sata":   {[]string{"IntelAhci"}, 30, 30, 1},
	"scsi":   {[]string{"LsiLogic", "BusLogic"}, 16, 16, 1},
	"sas":    {[]string{"LsiLogicSas"}, 255, 8, 1},
	"usb":    {[]string{"USB"}, 8, 8, 1},
	"pcie":   {[]string{"NVMe"}, 255, 1, 1},
	"virtio": {[]string{"VirtioSCSI", "VirtIO"}, 256, 256, 1},
	"floppy": {[]string{"I82078"}, 1, 1, 2},
}

func (m *machine) controller(name string) *controller {
	for _, c := range m.Controllers {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func storageCtl(r *registry, args []string) error {
	name, rest, err := first(args, "VM name")
	if err != nil {
		return err
	}
	portOption := "portcount"
	if !newer(4, 3) {
		portOption = "sataportcount"
	}
	g, _, err := flags{
		values: []string{"name", "add", "controller", portOption, "hostiocache", "bootable", "rename"},
		bools:  []string{"remove"},
	}.parse(rest)
	if err != nil {
		return err
	}
	m, err := r.mutable(name)
	if err != nil {
		return err
	}
	c := m.controller(g.get("name"))
	switch {
	case g.get("name") == "":
		return usage("Storage controller name not specified")
	case g.has("remove") && c == nil:
		return refuse(notFound, "Could not find a storage controller named '%s'", g.get("name"))
	case g.has("remove"):
		m.Controllers = slices.DeleteFunc(m.Controllers, func(o *controller) bool { return o == c })
		return nil
	case g.has("add") && c != nil:
		return refuse(inUse, "Storage controller named '%s' already exists", c.Name)
	case g.has("add"):
		if c, err = m.addController(g.get("name"), g.get("add")); err != nil {
			return err
		}
	case c == nil:
		return refuse(notFound, "Could not find a storage controller named '%s'", g.get("name"))
	}
	return c.change(g, portOption)
}

func (m *machine) addController(name, bus string) (*controller, error) {
	bus = strings.ToLower(bus)
	kind, ok := buses[bus]
	if !ok {
		return nil, usage("Invalid --add argument '%s'", bus)
	}
	for _, o := range m.Controllers {
		if o.Bus == bus && (bus == "ide" || bus == "floppy") {
			return nil, refuse(inUse, "Too many storage controllers of this type")
		}
	}
	c := &controller{Name: name, Bus: bus, Chip: kind.chips[0], Ports: kind.usual, Slots: map[string]*slot{}}
	m.Controllers = append(m.Controllers, c)
	return c, nil
}

// change sets what a call says of a controller.
func (c *controller) change(g given, portOption string) error {
	kind := buses[c.Bus]
	if chip := g.get("controller"); chip != "" {
		i := slices.IndexFunc(kind.chips, func(k string) bool { return strings.EqualFold(k, chip) })
		if i < 0 {
			return usage("Invalid --controller argument '%s' for a %s bus", chip, c.Bus)
		}
		c.Chip = kind.chips[i]
	}
	if n := g.get(portOption); n != "" {
		if err := number("port count", n, 1, kind.most); err != nil {
			return err
		}
		c.Ports, _ = strconv.Atoi(n)
	}
	for _, o := range []string{"hostiocache", "bootable"} {
		if g.has(o) {
			if err := onOff(o, g.get(o)); err != nil {
				return err
			}
		}
	}
	if g.has("rename") {
		c.Name = g.get("rename")
	}
	return nil
}

// endings are the names that files of a kind of medium may have.
var endings = map[string][]string{
	"dvddrive": {".iso", ".viso", ".dmg", ".cdr"},
	"fdd":      {".img", ".ima", ".dsk", ".flp", ".vfd"},
	"hdd":      {".vdi", ".vmdk", ".vhd", ".hdd", ".qcow2", ".qed", ".raw"},
}

func storageAttach(r *registry, args []string) error {
	name, rest, err := first(args, "VM name")
	if err != nil {
		return err
	}
	onOffs := []string{"nonrotational", "discard", "hotpluggable", "passthrough", "tempeject"}
	g, _, err := flags{
		values: append([]string{"storagectl", "port", "device", "type", "medium", "mtype", "comment",
			"setuuid", "setparentuuid", "bandwidthgroup"}, onOffs...),
		bools: []string{"forceunmount"},
	}.parse(rest)
	if err != nil {
		return err
	}
	m, err := r.mutable(name)
	if err != nil {
		return err
	}
	if g.get("storagectl") == "" {
		return usage("Missing storage controller name")
	}
	c := m.controller(g.get("storagectl"))
	if c == nil {
		return refuse(notFound, "Could not find a controller named '%s'", g.get("storagectl"))
	}
	for _, o := range onOffs {
		if g.has(o) {
			if err := onOff(o, g.get(o)); err != nil {
				return err
			}
		}
	}
	at, err := c.place(g)
	if err != nil {
		return err
	}
	return r.attach(m, c, at, g)
}

// place is where a call attaches something: "PORT-DEVICE".
func (c *controller) place(g given) (string, error) {
	port, portErr := strconv.Atoi(g.get("port"))
	device, deviceErr := strconv.Atoi(g.get("device"))
	if g.get("port") == "" {
		port, portErr = 0, nil
	}
	if g.get("device") == "" {
		device, deviceErr = 0, nil
	}
	kind := buses[c.Bus]
	if portErr != nil || deviceErr != nil || port < 0 || device < 0 || device >= kind.devices || port >= kind.most {
		return "", refuse(invalidArg, "Invalid port or device: the controller '%s' has no slot %s/%s",
			c.Name, g.get("port"), g.get("device"))
	}
	if g.get("type") == "hdd" && port >= c.Ports {
		return "", refuse(invalidArg, "The port %d of the controller '%s' is out of range: it has %d",
			port, c.Name, c.Ports)
	}
	return fmt.Sprintf("%d-%d", port, device), nil
}

// attach puts a device into a slot, or takes it out.
func (r *registry) attach(m *machine, c *controller, at string, g given) error {
	was, what := c.Slots[at], g.get("type")
	switch g.get("medium") {
	case "":
		if was == nil {
			return usage("No storage device attached to device slot %s of controller '%s'", at, c.Name)
		}
		return nil
	case "none":
		if was == nil {
			return refuse(notFound, "No storage device attached to device slot %s of controller '%s'", at, c.Name)
		}
		delete(c.Slots, at)
		if was.Type != "hdd" && r.user(was.Medium) == nil {
			r.forget(was.Medium)
		}
		return nil
	}
	if what == "" {
		return usage("Argument --type must be specified")
	}
	if err := oneOf("--type", what, "hdd", "dvddrive", "fdd"); err != nil {
		return err
	}
	if (what == "fdd") != (c.Bus == "floppy") {
		return refuse(invalidArg, "The controller '%s' takes no device of type %s", c.Name, what)
	}
	s := &slot{Type: what, Flags: map[string]string{}}
	for _, o := range []string{"nonrotational", "discard"} {
		if g.has(o) {
			s.Flags[o] = g.get(o)
		}
	}
	if g.get("medium") != "emptydrive" {
		med, err := r.openMedium(g.get("medium"), what)
		if err != nil {
			return err
		}
		if user := r.user(med.Path); what == "hdd" && user != nil && user != m {
			return refuse(inUse, "Medium '%s' is already attached to the machine '%s'", med.Path, user.Name)
		}
		s.Medium = med.Path
	}
	c.Slots[at] = s
	return nil
}

// openMedium finds a medium in the registry, or adds a file to it.
func (r *registry) openMedium(name, what string) (*medium, error) {
	if med := r.medium(name); med != nil {
		if med.Kind != what {
			return nil, refuse(invalidArg, "The medium '%s' is no medium for a device of type %s", med.Path, what)
		}
		return med, nil
	}
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return nil, refuse(fileError, "Could not find file for the medium '%s' (VERR_FILE_NOT_FOUND)", abs)
	}
	if !slices.Contains(endings[what], strings.ToLower(filepath.Ext(abs))) {
		return nil, refuse(fileError, "Could not get the storage format of the medium '%s' (VERR_NOT_SUPPORTED)", abs)
	}
	med := &medium{Path: abs, UUID: newUUID(), Kind: what, Format: "RAW", Size: info.Size() >> 20}
	if what == "hdd" {
		if med.Format, med.Size, err = probe(abs); err != nil {
			return nil, refuse(fileError, "Could not open the medium '%s': %v", abs, err)
		}
	}
	r.Media = append(r.Media, med)
	return med, nil
}
