// Package virtualboxiso makes a machine of VirtualBox from an installer's ISO, has it
// installed and provisioned, and exports it.
package virtualboxiso

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"kiln"
	"kiln/builder/internal/vbox"
	"kiln/media/iso"
)

// Builder makes one machine.
type Builder struct {
	vbox.Config `kiln:",squash"`
	Installer   iso.Config `kiln:",squash"`

	// Name of the machine; packer- with the build's name and the time by default.
	VMName string `kiln:"vm_name"`
	// Kind of guest, as `VBoxManage list ostypes` names it.
	GuestOSType string `kiln:"guest_os_type,default=Other"`
	// Number of processors.
	CPUs int `kiln:"cpus,default=1"`
	// Memory in MiB.
	Memory int `kiln:"memory,default=512"`
	// Size of the disk in MiB.
	DiskSize int `kiln:"disk_size,default=40000"`
	// Sizes of further disks in MiB.
	MoreDisks []int `kiln:"disk_additional_size"`
	// Controller of the disks: ide, sata, scsi, pcie or virtio.
	DiskInterface string `kiln:"hard_drive_interface,default=ide"`
	// Let the guest give back what it does not use any more.
	Discard bool `kiln:"hard_drive_discard"`
	// Say that the disks do not rotate.
	NonRotational bool `kiln:"hard_drive_nonrotational"`
	// Ports of the SATA controller, at most 30.
	SATAPorts int `kiln:"sata_port_count,default=1"`
	// Ports of the NVMe controller, at most 255.
	NVMePorts int `kiln:"nvme_port_count,default=1"`
	// Controller of the installer's drive: ide, sata or virtio.
	ISOInterface string `kiln:"iso_interface,default=ide"`
	// Chipset: piix3, ich9, armv8 or armv8virtual.
	Chipset string `kiln:"chipset,default=piix3"`
	// Firmware: bios or efi.
	Firmware string `kiln:"firmware,default=bios"`
	// Let the guest run machines of its own; VirtualBox's default where nothing is said.
	NestedVirt *bool `kiln:"nested_virt"`
	// What the clock shows: UTC or local time.
	RTCTimeBase string `kiln:"rtc_time_base,default=local"`
	// Kind of all network cards.
	NICType string `kiln:"nic_type,default=82540EM"`
	// Graphics controller; that of the kind of guest by default.
	GfxController string `kiln:"gfx_controller"`
	// Memory of the graphics controller in MiB, 1 to 128; 4 by default.
	GfxVRAM int `kiln:"gfx_vram_size"`
	// Speed up 3D graphics.
	Gfx3D bool `kiln:"gfx_accelerate_3d"`
	// Resolution of the screen under EFI, such as 1920x1080.
	GfxEFIResolution string `kiln:"gfx_efi_resolution"`
	// Where sound goes on this machine, such as alsa or pulse.
	Sound string `kiln:"sound,default=none"`
	// Sound card: ac97, hda, sb16 or none.
	AudioController string `kiln:"audio_controller,default=ac97"`
	// Give the machine USB.
	USB bool `kiln:"usb"`
	// USB controller: ohci, ehci, xhci or none.
	USBController string `kiln:"usb_controller,default=ehci"`
	// Mouse: ps2, usb, usbtablet or usbmultitouch.
	Mouse string `kiln:"mouse,default=ps2"`
	// Keyboard: ps2 or usb.
	Keyboard string `kiln:"keyboard,default=ps2"`
	// Leave the installer's ISO attached when the machine is exported.
	BundleISO bool `kiln:"bundle_iso,late"`
}

// defaults are what holds where nothing is said, also in a value that no template made.
func (c *Builder) defaults() {
	for field, usual := range map[*string]string{
		&c.GuestOSType: "Other", &c.DiskInterface: "ide", &c.ISOInterface: "ide", &c.Chipset: "piix3",
		&c.Firmware: "bios", &c.RTCTimeBase: "local", &c.NICType: "82540EM", &c.Sound: "none",
		&c.AudioController: "ac97", &c.USBController: "ehci", &c.Mouse: "ps2", &c.Keyboard: "ps2",
	} {
		*field = cmp.Or(*field, usual)
	}
	for field, usual := range map[*int]int{
		&c.CPUs: 1, &c.Memory: 512, &c.DiskSize: 40000, &c.SATAPorts: 1, &c.NVMePorts: 1, &c.GfxVRAM: 4,
	} {
		*field = cmp.Or(*field, usual)
	}
}

// words are the options that have certain values only, and what is said of others.
func (c *Builder) words() []word {
	return []word{
		{"hard_drive_interface", c.DiskInterface, "ide sata pcie scsi virtio",
			"hard_drive_interface can only be ide, sata, pcie, scsi or virtio"},
		{"iso_interface", c.ISOInterface, "ide sata virtio", "iso_interface can only be ide, sata or virtio"},
		{"chipset", c.Chipset, "piix3 ich9 armv8 armv8virtual",
			"chipset can only be piix3, ich9, armv8, or armv8virtual"},
		{"firmware", c.Firmware, "bios efi", "firmware can only be bios or efi"},
		{"rtc_time_base", c.RTCTimeBase, "UTC local", "rtc_time_base can only be UTC or local"},
		{"nic_type", c.NICType, "82540EM 82543GC 82545EM Am79C970A Am79C973 Am79C960 usbnet virtio",
			"NIC type can only be 82540EM, 82543GC, 82545EM, Am79C970A, Am79C973, Am79C960, usbnet, virtio"},
		{"gfx_controller", cmp.Or(c.GfxController, "none"), "vboxvga vboxsvga vmsvga qemuramfb none",
			"Graphics controller type can only be vboxvga, vboxsvga, vmsvga, qemuramfb, none"},
		{"audio_controller", c.AudioController, "ac97 hda sb16 none",
			"Audio controller type can only be ac97, hda or sb16"},
		{"usb_controller", c.USBController, "ohci ehci xhci none",
			"USB controller type can only be ohci, ehci, xhci, or none"},
		{"mouse", c.Mouse, "ps2 usb usbtablet usbmultitouch",
			"Mouse type can only be ps2, usb, usbtablet, or usbmultitouch"},
		{"keyboard", c.Keyboard, "ps2 usb", "Keyboard type can only be ps2 or usb"},
	}
}

type word struct{ field, value, allowed, text string }

var resolution = regexp.MustCompile(`^[0-9]+x[0-9]+$`)

// Validate reports all that is wrong.
func (c *Builder) Validate() error {
	c.defaults()
	errs := []error{c.Config.Check(c.ISOInterface), c.Installer.Check()}
	for _, w := range c.words() {
		if !slices.Contains(strings.Fields(w.allowed), w.value) {
			errs = append(errs, kiln.Invalid(w.field, "%s", w.text))
		}
	}
	wrong := func(is bool, field, format string, args ...any) {
		if is {
			errs = append(errs, kiln.Invalid(field, format, args...))
		}
	}
	wrong(c.CPUs < 0, "cpus", "An invalid number of cpus was specified (cpus < 0): %d", c.CPUs)
	wrong(c.Memory < 0, "memory", "An invalid memory size was specified (memory < 0): %d", c.Memory)
	wrong(c.DiskSize < 0, "disk_size", "An invalid disk size was specified (disk_size < 0): %d", c.DiskSize)
	wrong(slices.ContainsFunc(c.MoreDisks, func(n int) bool { return n <= 0 }), "disk_additional_size",
		"each of disk_additional_size must be a size in MiB")
	wrong(c.SATAPorts > 30, "sata_port_count", "sata_port_count cannot be greater than 30")
	wrong(c.NVMePorts > 255, "nvme_port_count", "nvme_port_count cannot be greater than 255")
	wrong(c.SATAPorts < 0, "sata_port_count", "sata_port_count cannot be less than 1")
	wrong(c.NVMePorts < 0, "nvme_port_count", "nvme_port_count cannot be less than 1")
	wrong(c.GfxVRAM < 0 || c.GfxVRAM > 128, "gfx_vram_size", "VGRAM size must be from 0 (use default) to 128")
	wrong(c.GfxEFIResolution != "" && !resolution.MatchString(c.GfxEFIResolution), "gfx_efi_resolution",
		"EFI resolution must be in the format WIDTHxHEIGHT, e.g. 1920x1080")
	if max := diskRoom(c.DiskInterface); len(c.MoreDisks)+1 > max {
		errs = append(errs, kiln.Invalid("disk_additional_size",
			"%d disks do not fit on hard_drive_interface %s, which has room for %d",
			len(c.MoreDisks)+1, c.DiskInterface, max))
	}
	return errors.Join(errs...)
}

// diskRoom is how many disks fit on an interface, each at a port of its own.
func diskRoom(iface string) int {
	switch iface {
	case "ide":
		return 2
	case "scsi":
		return 16
	}
	return 255
}

// diskNames are the files of the disks in the output folder.
func (c *Builder) diskNames(machine string) []string {
	if len(c.MoreDisks) == 0 {
		return []string{machine + ".vdi"}
	}
	names := make([]string, len(c.MoreDisks)+1)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%d.vdi", machine, i)
	}
	return names
}
