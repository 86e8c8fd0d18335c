//go:build unix

package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// cards are QEMU's names of network cards.
var cards = map[string]string{
	"82540EM": "e1000", "82543GC": "e1000-82544gc", "82545EM": "e1000-82545em", "virtio": "virtio-net-pci",
	"Am79C970A": "pcnet", "Am79C973": "pcnet", "Am79C960": "pcnet", "usbnet": "usb-net",
}

// qemu are the arguments by which QEMU is the machine.
func (m *machine) qemu() ([]string, error) {
	s := m.Settings
	args := []string{
		"-name", m.Name, "-machine", "pc,accel=tcg", "-nodefaults", "-display", "none", "-vga", "std",
		"-m", s["memory"], "-smp", s["cpus"], "-qmp", "unix:qmp,server=on,wait=off",
		"-serial", "file:serial.log",
	}
	var order strings.Builder
	for _, n := range []string{"1", "2", "3", "4"} {
		order.WriteString(map[string]string{"disk": "c", "dvd": "d", "floppy": "a", "net": "n"}[s["boot"+n]])
	}
	if strings.HasPrefix(s["firmware"], "efi") {
		drives, err := m.firmware()
		if err != nil {
			return nil, err
		}
		args = append(args, drives...)
	} else {
		args = append(args, "-boot", "order="+order.String())
	}
	if s["usb"] == "on" || s["nictype1"] == "usbnet" {
		args = append(args, "-usb")
	}
	args = append(args, m.network()...)
	for i, c := range m.Controllers {
		args = append(args, c.devices(i)...)
	}
	return args, nil
}

// Where Debian has the firmware.
const (
	efiCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	efiVars = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

func (m *machine) firmware() ([]string, error) {
	vars := m.in("vars.fd")
	if _, err := os.Stat(vars); err != nil {
		text, err := os.ReadFile(efiVars)
		if err == nil {
			err = os.WriteFile(vars, text, 0o600)
		}
		if err != nil {
			return nil, err
		}
	}
	return []string{
		"-drive", "if=pflash,unit=0,format=raw,readonly=on,file=" + escape(efiCode),
		"-drive", "if=pflash,unit=1,format=raw,file=" + escape(vars),
	}, nil
}

// escape writes a value so that QEMU takes no comma in it for its end.
func escape(text string) string { return strings.ReplaceAll(text, ",", ",,") }

func (m *machine) network() []string {
	if m.Settings["nic1"] != "nat" {
		return nil
	}
	net := "user,id=nat1"
	// Without the switch this machine's own servers are out of the guest's reach.
	if newer(7, 0) && m.Settings["natlocalhostreachable1"] != "on" {
		net += ",restrict=on"
	}
	for _, r := range m.Rules {
		net += fmt.Sprintf(",hostfwd=%s:%s:%s-:%s", r.Proto, r.HostIP, r.HostPort, r.GuestPort)
	}
	card := cards[m.Settings["nictype1"]]
	return []string{"-netdev", net, "-device", card + ",netdev=nat1,mac=" + colons(m.Settings["macaddress1"])}
}

// colons writes a hardware address as QEMU wants it.
func colons(mac string) string {
	var parts []string
	for ; len(mac) > 2; mac = mac[2:] {
		parts = append(parts, mac[:2])
	}
	return strings.Join(append(parts, mac), ":")
}

// devices are the arguments for a controller with what is attached to it.
func (c *controller) devices(index int) (args []string) {
	id := "c" + strconv.Itoa(index)
	switch c.Bus {
	case "scsi", "sas":
		args = append(args, "-device", "lsi53c895a,id="+id)
	case "virtio":
		args = append(args, "-device", "virtio-scsi-pci,id="+id)
	}
	hosts := map[int]bool{} // AHCI has six ports here
	at := make([]string, 0, len(c.Slots))
	for place := range c.Slots {
		at = append(at, place)
	}
	slices.SortFunc(at, func(a, b string) int {
		x, y := numbers(a), numbers(b)
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]))
	})
	for i, place := range at {
		s, p := c.Slots[place], numbers(place)
		drive := id + "d" + strconv.Itoa(i)
		back := "if=none,id=" + drive
		if s.Medium != "" {
			back += ",file=" + escape(s.Medium)
		}
		if s.Type == "dvddrive" {
			back += ",media=cdrom,readonly=on"
		}
		if s.Type == "fdd" {
			back += ",format=raw"
		}
		if host := p[0] / 6; c.Bus == "sata" && !hosts[host] {
			hosts[host] = true
			args = append(args, "-device", fmt.Sprintf("ich9-ahci,id=%sh%d", id, host))
		}
		device := c.device(id, s.Type, p)
		if device == "" {
			continue
		}
		args = append(args, "-drive", back, "-device", device+",drive="+drive)
	}
	return args
}

// device is QEMU's name of a device in a slot, and where it is.
func (c *controller) device(id, what string, p [2]int) string {
	kind := map[string]string{"hdd": "hd", "dvddrive": "cd"}[what]
	switch c.Bus {
	case "ide":
		return fmt.Sprintf("ide-%s,bus=ide.%d,unit=%d", kind, p[0], p[1])
	case "sata":
		return fmt.Sprintf("ide-%s,bus=%sh%d.%d", kind, id, p[0]/6, p[0]%6)
	case "scsi", "sas":
		return fmt.Sprintf("scsi-%s,bus=%s.0,scsi-id=%d", kind, id, p[0])
	case "virtio":
		return fmt.Sprintf("scsi-%s,bus=%s.0,scsi-id=%d", kind, id, p[0])
	case "pcie":
		return fmt.Sprintf("nvme,serial=%s%d", id, p[0])
	case "floppy":
		return fmt.Sprintf("floppy,unit=%d", p[1])
	}
	return ""
}

// numbers are the port and the device of a place.
func numbers(place string) (n [2]int) {
	port, device, _ := strings.Cut(place, "-")
	n[0], _ = strconv.Atoi(port)
	n[1], _ = strconv.Atoi(device)
	return n
}
