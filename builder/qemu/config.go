// Package qemu makes disks of virtual machines: QEMU boots an installer or a disk, the boot
// command is typed, the machine is provisioned and shut down, and its disk is the image.
package qemu

import (
	"kiln"
	"kiln/communicator"
	"kiln/media/bootcommand"
	"kiln/media/cd"
	"kiln/media/floppy"
	"kiln/media/httpd"
	"kiln/media/iso"
	"kiln/vm"
)

// Builder makes one machine: docs/compat/builders-local.md Q1.
type Builder struct {
	communicator.Config `kiln:",squash"`
	ISO                 iso.Config            `kiln:",squash"`
	HTTP                httpd.Config          `kiln:",squash"`
	Floppy              floppy.Config         `kiln:",squash"`
	CD                  cd.Config             `kiln:",squash"`
	Boot                bootcommand.VNCConfig `kiln:",squash"`
	Ports               vm.HostPorts          `kiln:",squash"`
	Shutdown            vm.Shutdown           `kiln:",squash"`
	Output              vm.OutputDirectory    `kiln:",squash"`
	// The emulator: a name that is looked for on PATH, or a path.
	Binary string `kiln:"qemu_binary,default=qemu-system-x86_64"`
	// Name of the machine, and of the file of its disk; packer- and the name of the build by default.
	Name string `kiln:"vm_name"`

	// Format of the disks: qcow2 or raw.
	Format string `kiln:"format,default=qcow2"`
	// Size of the disk, such as 10G; without a unit in MiB.
	DiskSize string `kiln:"disk_size"`
	// Sizes of further disks, such as 10G; without a unit in bytes.
	MoreDisks []string `kiln:"disk_additional_size"`
	// How the disks are attached: ide, sata, scsi, sd, virtio or virtio-scsi.
	DiskInterface string `kiln:"disk_interface,default=virtio"`
	// How the disks are cached: writethrough, writeback, none, unsafe or directsync.
	DiskCache string `kiln:"disk_cache,default=writeback"`
	// What becomes of blocks that the guest discards: unmap or ignore.
	DiskDiscard string `kiln:"disk_discard,default=ignore"`
	// What becomes of zeroes that the guest writes: unmap, on or off.
	DetectZeroes string `kiln:"disk_detect_zeroes,default=off"`
	// Leave the disk as the machine left it, which may have more blocks than it needs.
	SkipCompaction bool `kiln:"skip_compaction,late"`
	// Compress the disk, also where skip_compaction is set.
	Compress bool `kiln:"disk_compression,late"`
	// The file of iso_url is a disk: start from it.
	DiskImage bool `kiln:"disk_image"`
	// Keep only the difference from the disk of iso_url, which must stay where it is.
	UseBacking bool `kiln:"use_backing_file"`
	// Leave the disk of iso_url at its size.
	SkipResize bool `kiln:"skip_resize_disk"`
	// Let the emulator read the ISO from its server while the machine runs; it is not checked.
	SkipCache bool `kiln:"iso_skip_cache"`
	// Interface of the CD drives, such as ide; the emulator's own choice by default.
	CDInterface string `kiln:"cdrom_interface"`
	// Further arguments for qemu-img.
	ImgArgs *ImgArgs `kiln:"qemu_img_args"`

	// How instructions are run: none, kvm, tcg, xen, hax, hvf or whpx. By default kvm where a guest is quick
	// with it, else tcg.
	Accelerator string `kiln:"accelerator"`
	// Kind of machine, such as pc or q35.
	MachineType string `kiln:"machine_type,default=pc"`
	// Kind of processor; the emulator's own choice by default.
	CPUModel string `kiln:"cpu_model"`
	// Number of processors.
	CPUs int `kiln:"cpus"`
	// Number of processor sockets.
	Sockets int `kiln:"sockets"`
	// Number of cores of each socket.
	Cores int `kiln:"cores"`
	// Number of threads of each core.
	Threads int `kiln:"threads"`
	// Memory in MiB; less than 10 is 512.
	Memory int `kiln:"memory,default=512"`
	// Kind of network card.
	NetDevice string `kiln:"net_device,default=virtio-net"`
	// Bridge of this machine to connect the card to; on Linux.
	NetBridge string `kiln:"net_bridge"`
	// File of the firmware.
	Firmware string `kiln:"firmware,file"`
	// Give the firmware to the machine as flash memory.
	UsePflash bool `kiln:"use_pflash"`
	// Boot by EFI.
	EFI bool `kiln:"efi_boot"`
	// File of the EFI firmware; /usr/share/OVMF/OVMF_CODE.fd by default.
	EFICode string `kiln:"efi_firmware_code,file"`
	// File of the EFI firmware's variables, which the machine gets a copy of; /usr/share/OVMF/OVMF_VARS.fd by
	// default.
	EFIVars string `kiln:"efi_firmware_vars,file"`
	// Do not count the machine's EFI variables among the files of the artifact.
	DropEFIVars bool `kiln:"efi_drop_efivars,late"`
	// Give the machine an emulated TPM; it needs swtpm.
	VTPM bool `kiln:"vtpm"`
	// The TPM is one of version 1.2, not 2.0.
	UseTPM1 bool `kiln:"use_tpm1"`
	// Kind of the TPM device: tpm-tis, on ARM tpm-tis-device, on POWER tpm-spapr.
	TPMDevice string `kiln:"tpm_device_type,default=tpm-tis"`

	// Open no window.
	Headless bool `kiln:"headless"`
	// Kind of window; gtk by default.
	Display string `kiln:"display"`
	// Let the emulator choose the kind of window.
	UseDefaultDisplay bool `kiln:"use_default_display"`
	// Kind of graphics card.
	VGA string `kiln:"vga"`
	// Address of this machine that the screen is shown on, and on which ports are looked for.
	VNCAddress string `kiln:"vnc_bind_address,default=127.0.0.1"`
	// The lowest port that the screen may be shown on.
	VNCPortMin int `kiln:"vnc_port_min,default=5900"`
	// The highest port that the screen may be shown on.
	VNCPortMax int `kiln:"vnc_port_max,default=6000"`
	// The screen asks for a password.
	VNCUsePassword bool `kiln:"vnc_use_password"`
	// That password, at most 8 characters; random by default.
	VNCPassword string `kiln:"vnc_password,sensitive"`
	// Make a socket for the emulator's monitor.
	QMPEnable bool `kiln:"qmp_enable"`
	// Path of that socket; by default in the output folder.
	QMPSocket string `kiln:"qmp_socket_path"`
	// Arguments of the emulator: a switch, and the parts of its value. A switch that is named here loses all that
	// it has by default. {{ .HTTPIP }}, {{ .HTTPPort }}, {{ .HTTPDir }}, {{ .HTTPContent }}, {{ .OutputDir }},
	// {{ .Name }} and {{ .SSHHostPort }} are known.
	Args [][]string `kiln:"qemuargs,render=run"`
	// Accepted, and without an effect.
	RunOnce bool `kiln:"run_once"`
}

// Traits: its layers and all else are files and processes of this machine.
func (*Builder) Traits() kiln.Traits { return kiln.Traits{ReapsAlone: true} }

// ImgArgs are further arguments for the calls of qemu-img.
type ImgArgs struct {
	// For the conversion of the finished disk.
	Convert []string `kiln:"convert,late"`
	// For making disks.
	Create []string `kiln:"create"`
	// For resizing the disk of iso_url.
	Resize []string `kiln:"resize"`
}

func (a *ImgArgs) create() []string {
	if a == nil {
		return nil
	}
	return a.Create
}

func (a *ImgArgs) convert() []string {
	if a == nil {
		return nil
	}
	return a.Convert
}

func (a *ImgArgs) resize() []string {
	if a == nil {
		return nil
	}
	return a.Resize
}

// What holds where the template gives nothing.
const (
	usualSize    = "40960M"
	usualMemory  = 512
	leastMemory  = 10
	usualEFICode = "/usr/share/OVMF/OVMF_CODE.fd"
	usualEFIVars = "/usr/share/OVMF/OVMF_VARS.fd"
	firstVNC     = 5900 // the port of screen 0
	lastPort     = 65535
	passwordSize = 8 // of VNC
)
