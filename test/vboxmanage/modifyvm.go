//go:build unix

package main

import (
	"maps"
	"regexp"
	"strconv"
	"strings"
)

// setting is an option of modifyvm.
type setting struct {
	key   string                           // under which its value is kept
	check func(option, value string) error // nil: any value
	since [2]int                           // version that has it first
	until [2]int                           // version that has it no more; zero: none
}

func onOff(option, value string) error { return oneOf(option, value, "on", "off") }

func values(all ...string) func(string, string) error {
	return func(option, value string) error { return oneOf(option, value, all...) }
}

func between(low, high int) func(string, string) error {
	return func(option, value string) error { return number(option, value, low, high) }
}

var (
	bootDevices = values("none", "floppy", "dvd", "disk", "net")
	nicKinds    = values("none", "null", "nat", "bridged", "intnet", "hostonly", "generic", "natnetwork", "hostonlynet")
	nicTypes    = values("Am79C970A", "Am79C973", "Am79C960", "82540EM", "82543GC", "82545EM", "virtio", "usbnet")
	soundKinds  = values("none", "default", "null", "oss", "alsa", "pulse", "dsound", "was", "coreaudio", "solaudio")
)

// settings are the options by their names; # stands for the number of a card.
var settings = map[string]setting{
	"description": {key: "description"}, "groups": {key: "groups"},
	"ostype": {key: "ostype"}, "os-type": {key: "ostype", since: [2]int{7, 0}},
	"memory": {key: "memory", check: between(4, 2097152)}, "vram": {key: "vram", check: between(0, 256)},
	"cpus": {key: "cpus", check: between(1, 64)}, "cpuexecutioncap": {key: "cpuexecutioncap", check: between(1, 100)},
	"ioapic": {key: "ioapic", check: onOff}, "acpi": {key: "acpi", check: onOff},
	"pae": {key: "pae", check: onOff}, "longmode": {key: "longmode", check: onOff},
	"hpet": {key: "hpet", check: onOff}, "apic": {key: "apic", check: onOff}, "x2apic": {key: "x2apic", check: onOff},
	"hwvirtex": {key: "hwvirtex", check: onOff}, "nestedpaging": {key: "nestedpaging", check: onOff},
	"largepages": {key: "largepages", check: onOff}, "vtxvpid": {key: "vtxvpid", check: onOff},
	"nested-hw-virt": {key: "nestedhwvirt", check: onOff, since: [2]int{6, 0}},
	"paravirtprovider": {key: "paravirtprovider",
		check: values("none", "default", "legacy", "minimal", "hyperv", "kvm")},
	"boot1": {key: "boot1", check: bootDevices}, "boot2": {key: "boot2", check: bootDevices},
	"boot3": {key: "boot3", check: bootDevices}, "boot4": {key: "boot4", check: bootDevices},
	"chipset":   {key: "chipset", check: values("piix3", "ich9", "armv8", "armv8virtual")},
	"firmware":  {key: "firmware", check: values("bios", "efi", "efi32", "efi64")},
	"tpm-type":  {key: "tpmtype", check: values("none", "1.2", "2.0", "host", "swtpm"), since: [2]int{7, 0}},
	"rtcuseutc": {key: "rtcuseutc", check: onOff},
	"graphicscontroller": {key: "graphicscontroller",
		check: values("none", "vboxvga", "vboxsvga", "vmsvga", "qemuramfb")},
	"accelerate3d": {key: "accelerate3d", check: onOff},
	"monitorcount": {key: "monitorcount", check: between(1, 8)},
	"mouse":        {key: "mouse", check: values("ps2", "usb", "usbtablet", "usbmultitouch", "usbmtscreenpluspad")},
	"keyboard":     {key: "keyboard", check: values("ps2", "usb")},
	"usb":          {key: "usb", check: onOff}, "usbohci": {key: "usbohci", check: onOff},
	"usbehci": {key: "usbehci", check: onOff}, "usbxhci": {key: "usbxhci", check: onOff, since: [2]int{5, 0}},
	"audio":           {key: "audio", check: soundKinds, until: [2]int{7, 0}},
	"audio-driver":    {key: "audio", check: soundKinds, since: [2]int{7, 0}},
	"audio-enabled":   {key: "audioenabled", check: onOff, since: [2]int{7, 0}},
	"audiocontroller": {key: "audiocontroller", check: values("ac97", "hda", "sb16")},
	"audioin":         {key: "audioin", check: onOff}, "audioout": {key: "audioout", check: onOff},
	"clipboard-mode": {key: "clipboard", check: values("disabled", "hosttoguest", "guesttohost", "bidirectional")},
	"clipboard":      {key: "clipboard", check: values("disabled", "hosttoguest", "guesttohost", "bidirectional")},
	"draganddrop":    {key: "draganddrop", check: values("disabled", "hosttoguest", "guesttohost", "bidirectional")},
	"vrde":           {key: "vrde", check: onOff}, "vrdeport": {key: "vrdeport"},
	"vrdeaddress":  {key: "vrdeaddress"},
	"vrdeauthtype": {key: "vrdeauthtype", check: values("null", "external", "guest")},
	"vrdemulticon": {key: "vrdemulticon", check: onOff}, "snapshotfolder": {key: "snapshotfolder"},
	"nic#": {key: "nic#", check: nicKinds}, "nictype#": {key: "nictype#", check: nicTypes},
	"macaddress#": {key: "macaddress#"}, "cableconnected#": {key: "cableconnected#", check: onOff},
	"nicpromisc#":      {key: "nicpromisc#", check: values("deny", "allow-vms", "allow-all")},
	"bridgeadapter#":   {key: "bridgeadapter#"},
	"hostonlyadapter#": {key: "hostonlyadapter#"}, "intnet#": {key: "intnet#"}, "natnet#": {key: "natnet#"},
	"natdnshostresolver#":     {key: "natdnshostresolver#", check: onOff},
	"natdnsproxy#":            {key: "natdnsproxy#", check: onOff},
	"nat-localhostreachable#": {key: "natlocalhostreachable#", check: onOff, since: [2]int{7, 0}},
	"uart#":                   {key: "uart#"}, "uartmode#": {key: "uartmode#"},
	"natpf#": {key: "natpf#"},
}

// numbered takes the number of a card off the name of an option.
var numbered = regexp.MustCompile(`^([a-z-]+?)([1-8])$`)

// find finds an option as it is written, and says which card it is of.
func find(name string) (setting, string, bool) {
	if s, ok := settings[name]; ok {
		return s, "", true
	}
	if p := numbered.FindStringSubmatch(name); p != nil {
		s, ok := settings[p[1]+"#"]
		return s, p[2], ok
	}
	return setting{}, "", false
}

func modifyVM(r *registry, args []string) error {
	name, rest, err := first(args, "VM name")
	if err != nil {
		return err
	}
	m, err := r.mutable(name)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return usage("Not enough parameters")
	}
	// All or nothing: the settings are saved together.
	work := &machine{UUID: m.UUID, config: m.config.clone()}
	for len(rest) > 0 {
		if rest, err = work.modify(rest); err != nil {
			return err
		}
	}
	if kind := work.Settings["ostype"]; kind != "" {
		t, err := findOSType(kind)
		if err != nil {
			return err
		}
		m.OSType = t.id
		delete(work.Settings, "ostype")
	}
	m.config = work.config
	return nil
}

// modify does the first option of args, and returns what is left of them.
func (m *machine) modify(args []string) ([]string, error) {
	word, ok := strings.CutPrefix(args[0], "--")
	if !ok {
		return nil, usage("Invalid parameter '%s'", args[0])
	}
	word, joined, has := strings.Cut(word, "=")
	s, card, ok := find(word)
	if !ok || !newer(s.since[0], s.since[1]) || s.until[0] > 0 && newer(s.until[0], s.until[1]) {
		return nil, usage("Unknown option: %s", args[0])
	}
	args = args[1:]
	if has {
		args = append([]string{joined}, args...)
	}
	if len(args) == 0 {
		return nil, usage("Missing argument to '--%s'", word)
	}
	value, args := args[0], args[1:]
	if s.key == "natpf#" {
		return m.forward(card, value, args)
	}
	if s.check != nil {
		if err := s.check(word, value); err != nil {
			return nil, err
		}
	}
	m.Settings[strings.Replace(s.key, "#", card, 1)] = value
	return args, nil
}

// forward adds or deletes a rule of the NAT of a card.
func (m *machine) forward(card, value string, args []string) ([]string, error) {
	if card != "1" {
		return nil, usage("only the rules of card 1 are kept here")
	}
	if value == "delete" {
		if len(args) == 0 {
			return nil, usage("Missing argument to '--natpf1 delete'")
		}
		for i, r := range m.Rules {
			if r.Name == args[0] {
				m.Rules = append(m.Rules[:i:i], m.Rules[i+1:]...)
				return args[1:], nil
			}
		}
		return nil, refuse(notFound, "No NAT rule named '%s' exists", args[0])
	}
	f := strings.Split(value, ",")
	if len(f) != 6 {
		return nil, usage("Missing or invalid argument to '--natpf1': '%s'", value)
	}
	r := rule{f[0], f[1], f[2], f[3], f[4], f[5]}
	if err := oneOf("proto", r.Proto, "tcp", "udp"); err != nil {
		return nil, err
	}
	for _, port := range []string{r.HostPort, r.GuestPort} {
		if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			return nil, usage("Invalid port '%s'", port)
		}
	}
	for _, o := range m.Rules {
		switch {
		case o.Name == r.Name:
			return nil, refuse(invalidArg, "A NAT rule of this name already exists")
		case o.Proto == r.Proto && o.HostPort == r.HostPort && o.HostIP == r.HostIP:
			return nil, refuse(invalidArg, "A NAT rule for this host port and this host IP already exists")
		}
	}
	m.Rules = append(m.Rules, r)
	return args, nil
}

// clone is a copy that shares nothing.
func (c config) clone() config {
	out := config{Settings: maps.Clone(c.Settings), Rules: append([]rule(nil), c.Rules...)}
	for _, con := range c.Controllers {
		copied := *con
		copied.Slots = map[string]*slot{}
		for at, s := range con.Slots {
			one := *s
			one.Flags = maps.Clone(s.Flags)
			copied.Slots[at] = &one
		}
		out.Controllers = append(out.Controllers, &copied)
	}
	return out
}
