package virtualboxiso

import (
	"cmp"
	"context"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"kiln"
	"kiln/builder/internal/vbox"
	"kiln/driver/virtualbox"
)

// owner is how this component's resources are found again.
const owner = "builder.virtualbox-iso"

// Start makes the machine and starts it.
func (c *Builder) Start(ctx context.Context, b *kiln.Build) (kiln.Machine, error) {
	m, err := c.Open(ctx, b, owner)
	if err != nil {
		return nil, err
	}
	m.Name, m.BundleISO, m.ISOInterface = vbox.NewName(b, c.VMName), c.BundleISO, c.ISOInterface
	// An old output folder is no reason to wait for two downloads first.
	if err := m.Free(); err != nil {
		return nil, err
	}
	graphics, err := c.graphics(ctx, m)
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{
		m.GetAdditions,
		func(ctx context.Context) error { m.ISO, err = c.Installer.Get(ctx, b); return err },
		m.MakeOutput, m.Media, m.Serve, m.Key, m.Quiet,
		func(ctx context.Context) error { return c.create(ctx, m, graphics) },
		func(ctx context.Context) error { return c.disks(ctx, m) },
		m.Start,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// lastProbe is the number of the last machine that was made to see what its kind is like.
var lastProbe atomic.Int64

// probeName is a name that no other build of this process has.
func probeName() string {
	for {
		last := lastProbe.Load()
		if now := max(time.Now().Unix(), last+1); lastProbe.CompareAndSwap(last, now) {
			return "packer_temp_vm_" + strconv.FormatInt(now, 10)
		}
	}
}

// graphics is the graphics controller: that of the template, or what VirtualBox gives a
// machine of the kind by default. That nothing can be learned of the default is no error.
func (c *Builder) graphics(ctx context.Context, m *vbox.Machine) (string, error) {
	name := probeName()
	dir, made, err := m.Build.TempDir("kiln-probe-")
	if err != nil {
		return "", err
	}
	probe := m.Program.Resource(owner, virtualbox.KindMachine, name, map[string]string{
		"asked": time.Now().UTC().Format(time.RFC3339Nano), "within": virtualbox.Creating.String(),
	})
	err = m.Build.Own(probe, func(ctx context.Context) error { return m.Program.Destroy(ctx, probe) })
	if err != nil {
		return "", err
	}
	usual := ""
	_, err = m.Program.Run(ctx, "createvm", "--name", name, "--ostype", c.GuestOSType, "--register", "--default",
		"--basefolder", dir)
	if err == nil {
		if info, err := m.Program.Info(ctx, name); err == nil {
			usual = info["graphicscontroller"]
		}
		_, err = m.Program.Run(ctx, "unregistervm", name, "--delete")
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err == nil {
		err = m.Build.Forget(probe)
	} else {
		err = m.Build.Destroy(ctx, probe)
	}
	if err != nil {
		return "", err
	}
	return cmp.Or(c.GfxController, usual, "vboxsvga"), m.Build.Destroy(ctx, made)
}

func onOff(is bool) string {
	if is {
		return "on"
	}
	return "off"
}

// create makes the machine, with all that is not a disk.
func (c *Builder) create(ctx context.Context, m *vbox.Machine, graphics string) error {
	m.Build.Say("Creating virtual machine...")
	const text = "Error creating VM"
	err := m.Make(ctx, virtualbox.Creating, text, "Deregistering and deleting VM...",
		"createvm", "--name", m.Name, "--ostype", c.GuestOSType, "--register")
	if err != nil {
		return err
	}
	return m.Do(ctx, text, c.hardware(m.Name, m.Version, graphics)...)
}

// hardware are the commands that give a machine its hardware.
func (c *Builder) hardware(name string, version virtualbox.Version, graphics string) (commands [][]string) {
	modify := func(args ...string) { commands = append(commands, append([]string{"modifyvm", name}, args...)) }
	modify("--boot1", "disk", "--boot2", "dvd", "--boot3", "none", "--boot4", "none")
	modify("--cpus", strconv.Itoa(c.CPUs))
	if c.CPUs > 1 {
		modify("--ioapic", "on")
	}
	modify("--memory", strconv.Itoa(c.Memory))
	if c.USB && c.USBController != "none" {
		modify("--usb", "on")
		modify("--usbohci", "off", "--usbehci", "off", "--usbxhci", "off")
		modify("--usb"+c.USBController, "on")
	} else {
		modify("--usb", "off")
	}
	c.sound(modify, version)
	modify("--mouse", c.Mouse)
	modify("--keyboard", c.Keyboard)
	modify("--chipset", c.Chipset)
	modify("--firmware", c.Firmware)
	var cards []string
	for n := 1; n <= 8; n++ {
		cards = append(cards, "--nictype"+strconv.Itoa(n), c.NICType)
	}
	modify(cards...)
	modify("--graphicscontroller", graphics, "--vram", strconv.Itoa(c.GfxVRAM))
	modify("--rtcuseutc", onOff(c.RTCTimeBase == "UTC"))
	if c.NestedVirt != nil {
		modify("--nested-hw-virt", onOff(*c.NestedVirt))
	}
	modify("--accelerate3d", onOff(c.Gfx3D))
	if c.GfxEFIResolution != "" {
		commands = append(commands,
			[]string{"setextradata", name, "VBoxInternal2/EfiGraphicsResolution", c.GfxEFIResolution})
	}
	return commands
}

// sound sets the sound card.
func (c *Builder) sound(modify func(...string), version virtualbox.Version) {
	if c.AudioController == "none" {
		modify("--audio-enabled", "off")
		return
	}
	driver := "--audio"
	if version.AtLeast(7, 0) {
		driver = "--audio-driver"
	}
	args := []string{driver, c.Sound}
	if c.Sound != "none" {
		args = append(args, "--audioin", "on", "--audioout", "on")
	}
	modify(append(args, "--audiocontroller", c.AudioController)...)
}

// controllers are the commands that give a machine its controllers.
func (c *Builder) controllers(name string, version virtualbox.Version) (commands [][]string) {
	add := func(args ...string) {
		commands = append(commands, append([]string{"storagectl", name, "--name"}, args...))
	}
	add(vbox.IDE, "--add", "ide")
	if c.DiskInterface == "sata" || c.ISOInterface == "sata" {
		count := "--portcount"
		if !version.AtLeast(4, 3) {
			count = "--sataportcount"
		}
		add(vbox.SATA, "--add", "sata", count, strconv.Itoa(c.SATAPorts))
	}
	if c.DiskInterface == "virtio" || c.ISOInterface == "virtio" {
		add(vbox.VirtIO, "--add", "VirtIO", "--controller", "VirtIO")
	}
	switch c.DiskInterface {
	case "scsi":
		add(vbox.SCSI, "--add", "scsi", "--controller", "LSILogic")
	case "pcie":
		add(vbox.NVMe, "--add", "pcie", "--controller", "NVMe", "--portcount", strconv.Itoa(c.NVMePorts))
	}
	return commands
}

// disks makes the disks and attaches them.
func (c *Builder) disks(ctx context.Context, m *vbox.Machine) error {
	sizes := append([]int{c.DiskSize}, c.MoreDisks...)
	var owned []kiln.Resource
	var paths []string
	for i, name := range c.diskNames(m.Name) {
		path := m.OutputPath(name)
		abs, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		disk := m.Program.Resource(owner, virtualbox.KindDisk, abs, nil)
		err = m.Build.Own(disk, func(ctx context.Context) error { return m.Program.Destroy(ctx, disk) })
		if err != nil {
			return err
		}
		owned, paths = append(owned, disk), append(paths, path)
		m.Build.Say("Creating hard drive %s with size %d MiB...", path, sizes[i])
		err = m.Do(ctx, "Error creating hard drive", []string{"createhd", "--filename", path,
			"--size", strconv.Itoa(sizes[i]), "--format", "VDI", "--variant", "Standard"})
		if err != nil {
			return err
		}
	}
	for _, command := range c.controllers(m.Name, m.Version) {
		text := "Error creating disk controller"
		if command[3] == vbox.NVMe {
			text = "Error creating NVMe controller"
		}
		if err := m.Do(ctx, text, command); err != nil {
			return err
		}
	}
	controller := map[string]string{
		"ide": vbox.IDE, "sata": vbox.SATA, "virtio": vbox.VirtIO, "scsi": vbox.SCSI, "pcie": vbox.NVMe,
	}[c.DiskInterface]
	for i, path := range paths {
		err := m.Do(ctx, "Error attaching hard drive", []string{"storageattach", m.Name, "--storagectl", controller,
			"--port", strconv.Itoa(i), "--device", "0", "--type", "hdd", "--medium", path,
			"--nonrotational", onOff(c.NonRotational), "--discard", onOff(c.Discard)})
		if err != nil {
			return err
		}
		// It goes with the machine now.
		if err := m.Build.Forget(owned[i]); err != nil {
			return err
		}
	}
	return nil
}
