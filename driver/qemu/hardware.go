package qemu

import (
	"fmt"
	"strconv"
	"strings"
)

// Hardware is a machine as the command line describes it. What is empty is not there.
type Hardware struct {
	Name        string
	MachineType string // such as pc
	Accelerator string // none and "": without one
	Memory      int    // MiB
	CPUModel    string
	// Processors: how many in all, and how they are arranged; 0: not said.
	CPUs, Sockets, Cores, Threads int

	Boot    string // order, as -boot takes it
	Disks   []string
	Disk    DiskKind
	CDs     []string
	CDDrive string // interface of the CD drives
	Floppy  string
	BIOS    string // firmware file
	Pflash  bool   // give it as flash memory
	EFICode string
	EFIVars string // the machine's own copy

	Network   string // as -netdev takes it
	NetDevice string
	VNC       string // as -vnc takes it
	Display   string
	VGA       string
	QMP       string // path of the socket for others
	TPM       string // path of swtpm's socket
	TPMDevice string
}

// DiskKind is how disks are attached, and how they are kept.
type DiskKind struct {
	Interface    string // ide, virtio, virtio-scsi ...
	Cache        string
	Discard      string
	DetectZeroes string // off: not said
	Format       string
}

// File is a file name as a list of options takes it, where a comma ends a value.
func File(path string) string { return strings.ReplaceAll(path, ",", ",,") }

// Switches are the command line, before a template's own arguments.
func (h *Hardware) Switches() Switches {
	var s Switches
	set := func(name, value string) {
		if value != "" {
			s.Add(name, value)
		}
	}
	set("-name", h.Name)
	machine := "type=" + h.MachineType
	if h.Accelerator != "" && h.Accelerator != "none" {
		machine += ",accel=" + h.Accelerator
	}
	s.Add("-machine", machine)
	s.Add("-m", strconv.Itoa(h.Memory)+"M")
	s.Add("-smp", h.SMP())
	set("-cpu", h.CPUModel)
	set("-boot", h.Boot)
	set("-netdev", h.Network)
	set("-vnc", h.VNC)
	set("-display", h.Display)
	set("-vga", h.VGA)
	if !h.Pflash {
		set("-bios", h.BIOS)
	}
	set("-fda", h.Floppy)
	if h.QMP != "" {
		s.Add("-qmp", "unix:"+File(h.QMP)+",server,nowait")
	}
	if h.TPM != "" {
		s.Add("-chardev", "socket,id=vtpm,path="+File(h.TPM))
		s.Add("-tpmdev", "emulator,id=tpm0,chardev=vtpm")
	}
	disks, diskDevices := h.disks()
	cds, cdDevices := h.cds()
	devices := diskDevices
	if h.NetDevice != "" {
		devices = append(devices, h.NetDevice+",netdev=user.0")
	}
	devices = append(devices, cdDevices...)
	if h.TPM != "" {
		devices = append(devices, h.TPMDevice+",tpmdev=tpm0")
	}
	for _, d := range devices {
		s.Add("-device", d)
	}
	for _, d := range append(append(disks, cds...), h.flash()...) {
		s.Add("-drive", d)
	}
	return s
}

// SMP is the value of -smp. Fewer processors than the arrangement has are as many as are
// said, and more are as many as it has.
func (h *Hardware) SMP() string {
	total := max(h.Sockets, 1) * max(h.Cores, 1) * max(h.Threads, 1)
	arranged := h.Sockets > 0 || h.Cores > 0 || h.Threads > 0
	if h.CPUs > 0 && (!arranged || h.CPUs < total) {
		total = h.CPUs
	}
	smp := strconv.Itoa(total)
	for _, part := range []struct {
		name  string
		count int
	}{{"sockets", h.Sockets}, {"cores", h.Cores}, {"threads", h.Threads}} {
		if part.count > 0 {
			smp += fmt.Sprintf(",%s=%d", part.name, part.count)
		}
	}
	return smp
}

// disks are the values of -drive for the disks, and of -device for their controller and
// themselves.
func (h *Hardware) disks() (drives, devices []string) {
	how := fmt.Sprintf("cache=%s,discard=%s,format=%s", h.Disk.Cache, h.Disk.Discard, h.Disk.Format)
	if z := h.Disk.DetectZeroes; z != "" && z != "off" {
		how += ",detect-zeroes=" + z
	}
	for i, path := range h.Disks {
		if h.Disk.Interface != "virtio-scsi" {
			drives = append(drives, fmt.Sprintf("file=%s,if=%s,%s", File(path), h.Disk.Interface, how))
			continue
		}
		if i == 0 {
			devices = append(devices, "virtio-scsi-pci,id=scsi0")
		}
		drives = append(drives, fmt.Sprintf("if=none,file=%s,id=drive%d,%s", File(path), i, how))
		devices = append(devices, fmt.Sprintf("scsi-hd,bus=scsi0.0,drive=drive%d", i))
	}
	return drives, devices
}

// cds are the same for the CDs.
func (h *Hardware) cds() (drives, devices []string) {
	index := 0
	if h.Disk.Interface == "virtio-scsi" {
		index = len(h.Disks)
	}
	for i, path := range h.CDs {
		switch h.CDDrive {
		case "":
			drives = append(drives, fmt.Sprintf("file=%s,media=cdrom", File(path)))
		case "virtio-scsi":
			if i == 0 && h.Disk.Interface != "virtio-scsi" {
				devices = append(devices, "virtio-scsi-pci,id=scsi0")
			}
			drives = append(drives, fmt.Sprintf("file=%s,if=none,index=%d,id=cdrom%d,media=cdrom",
				File(path), index+i, i))
			devices = append(devices, "virtio-scsi-device", fmt.Sprintf("scsi-cd,drive=cdrom%d", i))
		default:
			drives = append(drives, fmt.Sprintf("file=%s,if=%s,index=%d,id=cdrom%d,media=cdrom",
				File(path), h.CDDrive, i, i))
		}
	}
	return drives, devices
}

// flash are the values of -drive for firmware in flash memory.
func (h *Hardware) flash() []string {
	var drives []string
	if h.BIOS != "" && h.Pflash {
		drives = append(drives, "file="+File(h.BIOS)+",if=pflash,format=raw,readonly=on")
	}
	if h.EFICode != "" {
		drives = append(drives, "file="+File(h.EFICode)+",if=pflash,unit=0,format=raw,readonly=on")
	}
	if h.EFIVars != "" {
		drives = append(drives, "file="+File(h.EFIVars)+",if=pflash,unit=1,format=raw")
	}
	return drives
}
