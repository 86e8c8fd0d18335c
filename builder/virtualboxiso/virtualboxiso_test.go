package virtualboxiso

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"kiln"
	"kiln/builder/internal/vbox"
	"kiln/communicator/none"
	"kiln/kilntest"
	"kiln/media/bootcommand"
	"kiln/media/cd"
	"kiln/media/floppy"
	"kiln/media/iso"
	"kiln/vm"
)

// still is a builder whose machine has no system and is switched off by its button.
func still(t *testing.T, dir string) *Builder {
	t.Helper()
	installer := filepath.Join(dir, "installer.iso")
	if err := os.WriteFile(installer, []byte("installer"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := &Builder{
		Config: vbox.Config{
			Boot:          bootcommand.Config{BootCommand: []string{"a<enter>"}, BootWait: -1, GroupInterval: time.Millisecond},
			Floppy:        floppy.Config{Content: map[string]string{"a.txt": "a"}, Label: "packer"},
			CD:            cd.Config{Content: map[string]string{"b.txt": "b"}, Label: "packer"},
			Output:        vm.OutputDirectory{Directory: filepath.Join(dir, "out")},
			Shutdown:      vm.FullShutdown{ACPI: true},
			AdditionsMode: "disable",
		},
		Installer: iso.Config{URL: installer, Checksum: "none"},
		VMName:    "m",
		DiskSize:  10,
	}
	c.Communicator = "none"
	c.Offer(map[string]kiln.Connector{"none": &none.Config{}})
	return c
}

func TestBuilder(t *testing.T) {
	v := kilntest.UseVirtualBox(t, "none")
	dir, temp := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("PACKER_CACHE_DIR", t.TempDir())
	kilntest.TestBuilder(t, kilntest.BuilderOptions{
		New: func() kiln.Builder {
			c := still(t, dir)
			c.VMName += kiln.RandomName(8) // a crash that is played keeps its lock
			if err := kilntest.Serious(c.Validate()); err != nil {
				t.Fatal(err)
			}
			return c
		},
		Left: func() []string {
			all := v.Left()
			for _, place := range []string{dir, temp} {
				entries, err := os.ReadDir(place)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					if e.Name() != "installer.iso" {
						all = append(all, e.Name())
					}
				}
			}
			return all
		},
	})
}

// bake runs a whole build and returns the commands that VirtualBox was given for it,
// without the questions, and with paths as in the reference.
func bake(t *testing.T, v *kilntest.VirtualBox, c *Builder) (commands []string, r *kilntest.Recorder) {
	t.Helper()
	t.Setenv("PACKER_CACHE_DIR", t.TempDir())
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	if err := kilntest.Serious(c.Validate()); err != nil {
		t.Fatal(err)
	}
	b, r := kilntest.NewBuild(t)
	v.Log()
	m, err := c.Start(t.Context(), b)
	if err == nil {
		_, err = m.Connect(t.Context())
	}
	if err == nil {
		_, err = m.Capture(t.Context())
	}
	err = errors.Join(err, b.Close(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	out := c.Output.Directory
	for _, line := range v.Log() {
		if strings.HasPrefix(line, "showvminfo") || strings.HasPrefix(line, "list") || line == "--version" {
			continue
		}
		line = strings.ReplaceAll(strings.ReplaceAll(line, out, "OUT"), filepath.Dir(out), "DIR")
		line = strings.ReplaceAll(line, temp, "TEMP")
		commands = append(commands, unlike.ReplaceAllString(line, "$1"))
	}
	return commands, r
}

// unlike is what differs from build to build.
var unlike = regexp.MustCompile(`(packer_temp_vm_|kiln-probe-|kiln-floppy-|TEMP/packer|--vrdeport |1 d, )[a-z0-9]+`)

// The commands stand in docs/compat/builders-local.md, I2, V3, V5 and V7, in this order.
func TestCommands(t *testing.T) {
	for name, change := range map[string]func(*Builder){
		"plain": func(c *Builder) { c.Floppy, c.CD = floppy.Config{}, cd.Config{} },
		"media": func(*Builder) {},
		"all": func(c *Builder) {
			nested := true
			c.CPUs, c.Memory, c.USB, c.USBController, c.Sound, c.AudioController = 2, 1024, true, "xhci", "alsa", "hda"
			c.Mouse, c.Keyboard, c.Chipset, c.RTCTimeBase, c.NICType = "usbtablet", "usb", "ich9", "UTC", "virtio"
			c.GfxController, c.GfxVRAM, c.Gfx3D, c.GfxEFIResolution = "vmsvga", 16, true, "1920x1080"
			c.NestedVirt, c.DiskInterface, c.ISOInterface, c.SATAPorts = &nested, "sata", "sata", 3
			c.MoreDisks, c.Discard, c.NonRotational = []int{20, 30}, true, true
			c.Headless, c.BundleISO, c.Format, c.OutputFilename = true, true, "ova", "other"
			c.ExportOpts = []string{"--manifest", "--iso"}
			c.VBoxManage = [][]string{{"modifyvm", "{{.Name}}", "--memory", "64"}}
			c.VBoxManagePost = [][]string{{"setextradata", "{{.Name}}", "at", "{{.HTTPIP}}:{{.HTTPPort}}"}}
		},
		"virtio": func(c *Builder) {
			c.DiskInterface, c.ISOInterface, c.AudioController = "virtio", "virtio", "none"
			c.KeepRegistered, c.SkipExport = true, true
		},
		"scsi": func(c *Builder) { c.DiskInterface, c.SkipExport = "scsi", true },
		"pcie": func(c *Builder) { c.DiskInterface, c.NVMePorts, c.MoreDisks = "pcie", 2, []int{11} },
	} {
		t.Run(name, func(t *testing.T) {
			v := kilntest.UseVirtualBox(t, "none")
			c := still(t, t.TempDir())
			change(c)
			commands, r := bake(t, v, c)
			kilntest.Golden(t, "testdata/"+name+".txt", strings.Join(commands, "\n")+"\n")
			if name == "all" {
				said := strings.Join(r.Texts(kiln.EventSay), "\n")
				said = unlike.ReplaceAllString(strings.ReplaceAll(said, filepath.Dir(c.Output.Directory), "DIR"), "$1")
				said = regexp.MustCompile(`rdp://127.0.0.1:[0-9]+`).ReplaceAllString(said, "rdp://127.0.0.1:PORT")
				kilntest.Golden(t, "testdata/messages.txt", said+"\n")
			}
		})
	}
}

// What a template may not say, and what is said of it.
func TestInvalid(t *testing.T) {
	for field, c := range map[string]struct {
		change func(*Builder)
		want   string
	}{
		"cpus":        {func(c *Builder) { c.CPUs = -1 }, "An invalid number of cpus was specified (cpus < 0): -1"},
		"memory":      {func(c *Builder) { c.Memory = -1 }, "An invalid memory size was specified (memory < 0): -1"},
		"disks":       {func(c *Builder) { c.MoreDisks = []int{1, 1} }, "3 disks do not fit on hard_drive_interface ide"},
		"interface":   {func(c *Builder) { c.DiskInterface = "x" }, "can only be ide, sata, pcie, scsi or virtio"},
		"iso":         {func(c *Builder) { c.ISOInterface = "scsi" }, "iso_interface can only be ide, sata or virtio"},
		"sata":        {func(c *Builder) { c.SATAPorts = 31 }, "sata_port_count cannot be greater than 30"},
		"nvme":        {func(c *Builder) { c.NVMePorts = 256 }, "nvme_port_count cannot be greater than 255"},
		"chipset":     {func(c *Builder) { c.Chipset = "x" }, "can only be piix3, ich9, armv8, or armv8virtual"},
		"firmware":    {func(c *Builder) { c.Firmware = "x" }, "firmware can only be bios or efi"},
		"rtc":         {func(c *Builder) { c.RTCTimeBase = "utc" }, "rtc_time_base can only be UTC or local"},
		"nic":         {func(c *Builder) { c.NICType = "x" }, "NIC type can only be 82540EM, 82543GC, 82545EM, Am79C970A"},
		"gfx":         {func(c *Builder) { c.GfxController = "x" }, "Graphics controller type can only be vboxvga"},
		"vram":        {func(c *Builder) { c.GfxVRAM = 129 }, "VGRAM size must be from 0 (use default) to 128"},
		"resolution":  {func(c *Builder) { c.GfxEFIResolution = "x" }, "EFI resolution must be in the format WIDTHxHEIGHT"},
		"audio":       {func(c *Builder) { c.AudioController = "x" }, "Audio controller type can only be ac97, hda or sb16"},
		"usb":         {func(c *Builder) { c.USBController = "x" }, "USB controller type can only be ohci, ehci, xhci, or"},
		"mouse":       {func(c *Builder) { c.Mouse = "x" }, "Mouse type can only be ps2, usb, usbtablet, or usbmultitouch"},
		"keyboard":    {func(c *Builder) { c.Keyboard = "x" }, "Keyboard type can only be ps2 or usb"},
		"format":      {func(c *Builder) { c.Format = "x" }, "invalid format, only 'ovf' or 'ova' are allowed"},
		"vrdp":        {func(c *Builder) { c.VRDPMin = 7000 }, "vrdp_port_min must be less than vrdp_port_max"},
		"mode":        {func(c *Builder) { c.AdditionsMode = "x" }, "Must be one of: [disable attach upload]"},
		"upload":      {func(c *Builder) { c.AdditionsMode = "upload" }, "communicator must not be 'none' when guest_additions"},
		"version":     {func(c *Builder) { c.VersionFile = "x" }, "virtualbox_version_file has to be an empty string when"},
		"checksum":    {func(c *Builder) { c.Installer.Checksum = "" }, "A checksum must be specified"},
		"no shutdown": {func(*Builder) {}, "will forcibly halt the virtual machine, which may result in data loss."},
	} {
		b := still(t, t.TempDir())
		c.change(b)
		if err := b.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", field, err, c.want)
		}
	}
}
