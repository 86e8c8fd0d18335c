//go:build unix

package main

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// osType is a kind of guest with the graphics that machines get for it by default.
type osType struct{ id, text, graphics string }

var osTypes = []osType{
	{"Other", "Other/Unknown", "vboxvga"}, {"Other_64", "Other/Unknown (64-bit)", "vboxvga"},
	{"Linux26", "Linux 2.6 / 3.x / 4.x / 5.x (32-bit)", "vmsvga"},
	{"Linux26_64", "Linux 2.6 / 3.x / 4.x / 5.x (64-bit)", "vmsvga"},
	{"Linux", "Other Linux (32-bit)", "vmsvga"}, {"Linux_64", "Other Linux (64-bit)", "vmsvga"},
	{"Debian", "Debian (32-bit)", "vmsvga"}, {"Debian_64", "Debian (64-bit)", "vmsvga"},
	{"Debian12_64", "Debian 12 Bookworm (64-bit)", "vmsvga"},
	{"Ubuntu", "Ubuntu (32-bit)", "vmsvga"}, {"Ubuntu_64", "Ubuntu (64-bit)", "vmsvga"},
	{"Ubuntu22_LTS_64", "Ubuntu 22.04 LTS (Jammy Jellyfish) (64-bit)", "vmsvga"},
	{"RedHat", "Red Hat (32-bit)", "vmsvga"}, {"RedHat_64", "Red Hat (64-bit)", "vmsvga"},
	{"Fedora_64", "Fedora (64-bit)", "vmsvga"}, {"OpenSUSE_64", "openSUSE (64-bit)", "vmsvga"},
	{"ArchLinux_64", "Arch Linux (64-bit)", "vmsvga"}, {"Gentoo_64", "Gentoo (64-bit)", "vmsvga"},
	{"FreeBSD_64", "FreeBSD (64-bit)", "vboxvga"},
	{"Windows10_64", "Windows 10 (64-bit)", "vboxsvga"}, {"Windows11_64", "Windows 11 (64-bit)", "vboxsvga"},
	{"Windows2019_64", "Windows 2019 (64-bit)", "vboxsvga"},
	{"Windows2022_64", "Windows 2022 (64-bit)", "vboxsvga"},
}

func findOSType(name string) (osType, error) {
	for _, t := range osTypes {
		if strings.EqualFold(t.id, name) || t.text == name {
			return t, nil
		}
	}
	return osType{}, refuse(notFound, "Guest OS type '%s' is invalid", name)
}

func createVM(r *registry, args []string) error {
	g, _, err := flags{
		values: []string{"name", "groups", "ostype", "basefolder", "uuid"},
		bools:  []string{"register", "default"},
	}.parse(args)
	switch {
	case err != nil:
		return err
	case g.get("name") == "":
		return usage("Parameter --name is required")
	case !g.has("register") && g.has("default"):
		return usage("--default needs --register")
	}
	kind := osTypes[0]
	if g.has("ostype") {
		if kind, err = findOSType(g.get("ostype")); err != nil {
			return err
		}
	}
	folder := cmp.Or(g.get("basefolder"), r.Folder)
	m, err := r.newMachine(g.get("name"), folder, kind)
	if err != nil {
		return err
	}
	if g.has("uuid") {
		m.UUID = g.get("uuid")
	}
	if g.has("default") {
		m.Settings["graphicscontroller"] = kind.graphics
		m.Settings["memory"] = "1024"
	}
	if g.has("register") {
		r.Machines = append(r.Machines, m)
		fmt.Printf("Virtual machine '%s' is created and registered.\n", m.Name)
	} else {
		fmt.Printf("Virtual machine '%s' is created.\n", m.Name)
	}
	fmt.Printf("UUID: %s\nSettings file: '%s'\n", m.UUID, m.file())
	return nil
}

// newMachine makes a machine's folder and its settings.
func (r *registry) newMachine(name, folder string, kind osType) (*machine, error) {
	if strings.ContainsAny(name, "/\\") {
		return nil, refuse(invalidArg, "Invalid machine name '%s'", name)
	}
	if slices.ContainsFunc(r.Machines, func(m *machine) bool { return m.Name == name }) {
		return nil, refuse(fileError, "Machine settings file '%s' already exists",
			filepath.Join(folder, name, name+".vbox"))
	}
	abs, err := filepath.Abs(filepath.Join(folder, name))
	if err != nil {
		return nil, err
	}
	m := &machine{Name: name, UUID: newUUID(), OSType: kind.id, Dir: abs, ExtraData: map[string]string{},
		Guest: map[string]string{}, Shared: map[string]string{}}
	m.become("poweroff")
	m.Settings = map[string]string{
		"memory": "128", "vram": "8", "cpus": "1", "chipset": "piix3", "firmware": "bios", "ioapic": "on",
		"boot1": "floppy", "boot2": "dvd", "boot3": "disk", "boot4": "none", "graphicscontroller": "vboxvga",
		"mouse": "ps2", "keyboard": "ps2", "usb": "off", "nic1": "nat", "nictype1": "82540EM", "vrde": "off",
		"macaddress1": newMAC(),
	}
	if _, err := os.Stat(m.file()); err == nil {
		return nil, refuse(fileError, "Machine settings file '%s' already exists", m.file())
	}
	if err := os.MkdirAll(m.Dir, 0o700); err != nil {
		return nil, refuse(fileError, "Could not create the directory '%s' (%v)", m.Dir, err)
	}
	text := "<VirtualBox><Machine uuid=\"{" + m.UUID + "}\"/></VirtualBox>\n"
	return m, os.WriteFile(m.file(), []byte(text), 0o600)
}

func newMAC() string {
	b := make([]byte, 3)
	_, _ = rand.Read(b) // never fails, see its documentation
	return fmt.Sprintf("080027%02X%02X%02X", b[0], b[1], b[2])
}

func (m *machine) file() string { return filepath.Join(m.Dir, m.Name+".vbox") }

func unregisterVM(r *registry, args []string) error {
	name, rest, err := first(args, "VM name")
	if err != nil {
		return err
	}
	g, _, err := flags{bools: []string{"delete", "delete-all"}}.parse(rest)
	if err != nil {
		return err
	}
	m, err := r.machine(name)
	if err != nil {
		return err
	}
	if m.running() || m.Busy != 0 || m.Linger > 0 {
		m.Linger = max(0, m.Linger-1)
		if err := r.save(); err != nil {
			return err
		}
		return refuse(locked, "Cannot unregister the machine '%s' while it is locked", m.Name)
	}
	r.Machines = slices.DeleteFunc(r.Machines, func(o *machine) bool { return o == m })
	gone := g.has("delete") || g.has("delete-all")
	for _, c := range m.Controllers {
		for _, s := range c.Slots {
			if s.Medium == "" || r.user(s.Medium) != nil {
				continue
			}
			r.forget(s.Medium)
			if gone && s.Type == "hdd" {
				if err := os.Remove(s.Medium); err != nil {
					return refuse(fileError, "Could not delete the medium storage unit '%s'", s.Medium)
				}
			}
		}
	}
	if !gone {
		return nil
	}
	if err := os.RemoveAll(filepath.Join(m.Dir, "Snapshots")); err != nil {
		return err
	}
	for _, name := range []string{m.Name + ".vbox", "qemu.log", "qmp", "alive", "vars.fd", "keys", "serial.log"} {
		if err := os.Remove(filepath.Join(m.Dir, name)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	// What somebody else put there stays.
	_ = os.Remove(m.Dir)
	return nil
}

func setExtraData(r *registry, args []string) error {
	if len(args) < 2 || len(args) > 3 {
		return usage("Incorrect number of parameters")
	}
	data := r.ExtraData
	if args[0] != "global" {
		m, err := r.machine(args[0])
		if err != nil {
			return err
		}
		data = m.ExtraData
	}
	if len(args) == 2 || args[2] == "" {
		delete(data, args[1])
	} else {
		data[args[1]] = args[2]
	}
	return nil
}

func getExtraData(r *registry, args []string) error {
	if len(args) != 2 {
		return usage("Incorrect number of parameters")
	}
	data := r.ExtraData
	if args[0] != "global" {
		m, err := r.machine(args[0])
		if err != nil {
			return err
		}
		data = m.ExtraData
	}
	if args[1] == "enumerate" {
		for _, key := range slices.Sorted(maps.Keys(data)) {
			fmt.Printf("Key: %s, Value: %s\n", key, data[key])
		}
		return nil
	}
	if v, ok := data[args[1]]; ok {
		fmt.Printf("Value: %s\n", v)
	} else {
		fmt.Println("No value set!")
	}
	return nil
}

func setProperty(r *registry, args []string) error {
	if len(args) != 2 {
		return usage("Incorrect number of parameters")
	}
	if args[0] != "machinefolder" {
		return usage("Invalid parameter '%s'", args[0])
	}
	if r.Folder = args[1]; args[1] == "default" {
		r.Folder = ""
	}
	return nil
}

func guestProperty(r *registry, args []string) error {
	if len(args) < 2 {
		return usage("Incorrect number of parameters")
	}
	m, err := r.machine(args[1])
	if err != nil {
		return err
	}
	rest := args[2:]
	switch {
	case args[0] == "get" && len(rest) >= 1:
		if v, ok := m.Guest[rest[0]]; ok {
			fmt.Printf("Value: %s\n", v)
		} else {
			fmt.Println("No value set!")
		}
	case len(rest) == 1 && slices.Contains([]string{"set", "delete", "unset"}, args[0]):
		delete(m.Guest, rest[0])
	case args[0] == "set" && len(rest) >= 2:
		m.Guest[rest[0]] = rest[1]
	case args[0] == "enumerate":
		for _, key := range slices.Sorted(maps.Keys(m.Guest)) {
			fmt.Printf("Name: %s, value: %s, timestamp: %d, flags: \n", key, m.Guest[key], time.Now().UnixNano())
		}
	default:
		return usage("Invalid parameter '%s'", args[0])
	}
	return nil
}

func sharedFolder(r *registry, args []string) error {
	if len(args) < 2 {
		return usage("Incorrect number of parameters")
	}
	g, _, err := flags{
		values: []string{"name", "hostpath", "auto-mount-point"},
		bools:  []string{"transient", "readonly", "automount"},
	}.parse(args[2:])
	if err != nil {
		return err
	}
	m, err := r.mutable(args[1])
	if err != nil {
		return err
	}
	name := g.get("name")
	switch {
	case name == "":
		return usage("Parameter --name is required")
	case args[0] == "add" && g.get("hostpath") == "":
		return usage("Parameter --hostpath is required")
	case args[0] == "add" && m.Shared[name] != "":
		return refuse(inUse, "Shared folder named '%s' already exists", name)
	case args[0] == "add":
		m.Shared[name] = g.get("hostpath")
	case args[0] == "remove" && m.Shared[name] == "":
		return refuse(notFound, "Could not find a shared folder named '%s'", name)
	case args[0] == "remove":
		delete(m.Shared, name)
	default:
		return usage("Invalid parameter '%s'", args[0])
	}
	return nil
}

// number reads a whole number within bounds.
func number(option, value string, low, high int) error {
	n, err := strconv.Atoi(value)
	if err != nil {
		return usage("Invalid %s value '%s'", option, value)
	}
	if n < low || n > high {
		return refuse(invalidArg, "Invalid %s: %d (must be in range [%d, %d])", option, n, low, high)
	}
	return nil
}
