package vbox

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"kiln"
	"kiln/driver/virtualbox"
)

// slot is where something is attached.
type slot struct {
	controller   string
	port, device int
	stays        bool // attached when the machine is exported
}

func (s slot) args(machine, kind, medium string) []string {
	args := []string{"storageattach", machine, "--storagectl", s.controller, "--port", strconv.Itoa(s.port),
		"--device", strconv.Itoa(s.device)}
	if kind != "" {
		args = append(args, "--type", kind)
	}
	return append(args, "--medium", medium)
}

// Names of storage controllers.
const (
	IDE    = "IDE"
	SATA   = "SATA"
	VirtIO = "VirtioSCSI"
	SCSI   = "SCSI"
	NVMe   = "NVMe"
	Floppy = "Floppy"
)

// place is where an ISO goes on an interface: the n-th of the installer's, the guest
// additions' and the CD's.
func place(iface string, n int) slot {
	switch iface {
	case "sata":
		return slot{controller: SATA, port: 13 + n}
	case "virtio":
		return slot{controller: VirtIO, port: 13 + n}
	}
	return []slot{{controller: IDE, device: 1}, {controller: IDE, port: 1}, {controller: IDE, port: 1, device: 1}}[n]
}

// AttachISOs attaches the installer, the guest additions and the CD, as far as there are.
func (m *Machine) AttachISOs(ctx context.Context) error {
	m.Build.Say("Mounting ISOs...")
	isos := []struct {
		path, iface, text string
		stays             bool
	}{
		{m.ISO, m.ISOInterface, "boot", m.BundleISO},
		{"", m.Config.AdditionsInterface, "guest additions", false},
		{m.cd, m.ISOInterface, "cd_files", false},
	}
	if m.Config.AdditionsMode == attach {
		isos[1].path = m.additions
	}
	if m.ISOInterface == "" {
		isos[2].iface = m.Config.AdditionsInterface
	}
	none := true
	for n, iso := range isos {
		if iso.path == "" {
			continue
		}
		none = false
		m.Build.Say("Mounting %s ISO...", iso.text)
		path, err := resolved(iso.path)
		if err != nil {
			return err
		}
		if path, err = filepath.Abs(path); err != nil {
			return err
		}
		at := place(iso.iface, n)
		at.stays = iso.stays
		err = m.change(ctx, m.slotResource(at, "dvddrive", path), func() error {
			return m.do(ctx, "Error attaching ISO", at.args(m.Name, "dvddrive", path)...)
		})
		if err != nil {
			return err
		}
		m.slots = append(m.slots, at)
	}
	if none {
		m.Build.Say("No ISOs to mount; continuing...")
	}
	return nil
}

// slotResource is what was put into a slot of the user's machine.
func (m *Machine) slotResource(s slot, kind, medium string) kiln.Resource {
	attrs := map[string]string{
		"controller": s.controller, "port": strconv.Itoa(s.port), "device": strconv.Itoa(s.device),
		"type": kind, "medium": medium,
	}
	if kind == "" {
		attrs["remove"] = "yes" // the controller is made for it
	}
	return m.Program.Resource(m.owner, virtualbox.KindSlot, m.Name, attrs)
}

// AttachFloppy puts the floppy disk into a drive, on a controller of its own.
func (m *Machine) AttachFloppy(ctx context.Context) error {
	if m.floppy == "" {
		return nil
	}
	dir, _, err := m.Build.TempDir("kiln-floppy-")
	if err != nil {
		return fmt.Errorf("Error preparing floppy: %w", err)
	}
	// VirtualBox knows the kind of a medium by the end of its name.
	m.drive = filepath.Join(dir, "floppy.vfd")
	if err := copyFile(m.floppy, m.drive); err != nil {
		return fmt.Errorf("Error preparing floppy: %w", err)
	}
	m.Build.Say("Deleting any current floppy disk...")
	info, err := m.Program.Info(ctx, m.Name)
	if err != nil {
		return fmt.Errorf("Error deleting existing floppy controllers: %w", err)
	}
	for _, name := range info.Controllers(virtualbox.FloppyController) {
		if err := m.do(ctx, "Error deleting existing floppy controllers",
			"storagectl", m.Name, "--name", name, "--remove"); err != nil {
			return err
		}
	}
	m.Build.Say("Attaching floppy disk...")
	at := slot{controller: Floppy}
	return m.change(ctx, m.slotResource(at, "", m.drive), func() error {
		err := m.do(ctx, "Error creating floppy controller", "storagectl", m.Name, "--name", Floppy, "--add", "floppy")
		if err != nil {
			return err
		}
		return m.do(ctx, "Error attaching floppy", at.args(m.Name, "fdd", m.drive)...)
	})
}

// removeDevices takes off the machine what is not to be exported.
func (m *Machine) removeDevices(ctx context.Context) error {
	if m.drive != "" {
		m.Build.Say("Removing floppy drive...")
		if err := m.do(ctx, "Error removing floppy", slot{controller: Floppy}.args(m.Name, "", "none")...); err != nil {
			return err
		}
		if err := m.do(ctx, "Error removing floppy controller",
			"storagectl", m.Name, "--name", Floppy, "--remove"); err != nil {
			return err
		}
		m.drive = ""
	}
	if err := m.detach(ctx, func(s slot) bool { return !s.stays }); err != nil {
		return err
	}
	return m.kept(virtualbox.KindSlot)
}

// detach takes ISOs out of the machine.
func (m *Machine) detach(ctx context.Context, wanted func(slot) bool) error {
	var rest []slot
	var errs []error
	for _, s := range m.slots {
		if !wanted(s) {
			rest = append(rest, s)
			continue
		}
		errs = append(errs, m.do(ctx, "Error detaching ISO", s.args(m.Name, "dvddrive", "none")...))
	}
	m.slots = rest
	return errors.Join(errs...)
}
