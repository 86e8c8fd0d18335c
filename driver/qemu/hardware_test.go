package qemu

import (
	"slices"
	"strings"
	"testing"
)

// plain is what a template has that says nothing.
func plain() Hardware {
	return Hardware{
		Name: "packer-x", MachineType: "pc", Accelerator: "kvm", Memory: 512, Boot: "once=d",
		Disks: []string{"output-x/packer-x"}, CDs: []string{"/c/a.iso"},
		Disk:    DiskKind{"virtio", "writeback", "ignore", "off", "qcow2"},
		Network: "user,id=user.0,hostfwd=tcp::3056-:22", NetDevice: "virtio-net",
		VNC: "127.0.0.1:32", Display: "gtk",
	}
}

// The line that the reference gives as a whole.
func TestPlainLine(t *testing.T) {
	h := plain()
	want := "-name packer-x -machine type=pc,accel=kvm -m 512M -smp 1 -boot once=d " +
		"-netdev user,id=user.0,hostfwd=tcp::3056-:22 -vnc 127.0.0.1:32 -display gtk " +
		"-device virtio-net,netdev=user.0 " +
		"-drive file=output-x/packer-x,if=virtio,cache=writeback,discard=ignore,format=qcow2 " +
		"-drive file=/c/a.iso,media=cdrom"
	if got := strings.Join(h.Switches().Args(), " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSMP(t *testing.T) {
	for _, c := range []struct {
		cpus, sockets, cores, threads int
		want                          string
	}{
		{0, 0, 0, 0, "1"},
		{4, 0, 0, 0, "4"},
		{0, 2, 2, 2, "8,sockets=2,cores=2,threads=2"},
		{4, 2, 0, 0, "2,sockets=2"},
		{0, 0, 4, 0, "4,cores=4"},
		{0, 0, 0, 2, "2,threads=2"},
		{2, 2, 2, 0, "2,sockets=2,cores=2"},
		{8, 2, 2, 0, "4,sockets=2,cores=2"},
		{1, 0, 3, 2, "1,cores=3,threads=2"},
	} {
		h := Hardware{CPUs: c.cpus, Sockets: c.sockets, Cores: c.cores, Threads: c.threads}
		if got := h.SMP(); got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
	}
}

// What each option puts on the line, beside or in the place of the plain one's.
func TestHardware(t *testing.T) {
	cache := "cache=writeback,discard=ignore,format=qcow2"
	for _, c := range []struct {
		name   string
		change func(h *Hardware)
		sw     string
		want   []string
	}{
		{"no accelerator", func(h *Hardware) { h.Accelerator = "none" }, "-machine", []string{"type=pc"}},
		{"processor", func(h *Hardware) { h.CPUModel = "host" }, "-cpu", []string{"host"}},
		{"no order", func(h *Hardware) { h.Boot = "" }, "-boot", nil},
		{"from disk", func(h *Hardware) { h.Boot = "c" }, "-boot", []string{"c"}},
		{"headless", func(h *Hardware) { h.Display = "" }, "-display", nil},
		{"screen", func(h *Hardware) { h.VGA = "qxl" }, "-vga", []string{"qxl"}},
		{"floppy", func(h *Hardware) { h.Floppy = "/t/f,1" }, "-fda", []string{"/t/f,1"}},
		{"QMP", func(h *Hardware) { h.QMP = "out/x.monitor" }, "-qmp", []string{"unix:out/x.monitor,server,nowait"}},
		{"firmware", func(h *Hardware) { h.BIOS = "/b" }, "-bios", []string{"/b"}},
		{"firmware in flash", func(h *Hardware) { h.BIOS, h.Pflash = "/b", true }, "-bios", nil},
		{"firmware in flash", func(h *Hardware) { h.BIOS, h.Pflash = "/b", true }, "-drive", []string{
			"file=output-x/packer-x,if=virtio," + cache, "file=/c/a.iso,media=cdrom",
			"file=/b,if=pflash,format=raw,readonly=on"}},
		{"EFI", func(h *Hardware) { h.EFICode, h.EFIVars = "/code", "out/efivars.fd" }, "-drive", []string{
			"file=output-x/packer-x,if=virtio," + cache, "file=/c/a.iso,media=cdrom",
			"file=/code,if=pflash,unit=0,format=raw,readonly=on", "file=out/efivars.fd,if=pflash,unit=1,format=raw"}},
		{"TPM", func(h *Hardware) { h.TPM, h.TPMDevice = "/s", "tpm-tis" }, "-chardev", []string{
			"socket,id=vtpm,path=/s"}},
		{"TPM", func(h *Hardware) { h.TPM, h.TPMDevice = "/s", "tpm-tis" }, "-tpmdev", []string{
			"emulator,id=tpm0,chardev=vtpm"}},
		{"TPM", func(h *Hardware) { h.TPM, h.TPMDevice = "/s", "tpm-tis" }, "-device", []string{
			"virtio-net,netdev=user.0", "tpm-tis,tpmdev=tpm0"}},
		{"detect zeroes", func(h *Hardware) { h.Disk.DetectZeroes, h.CDs = "unmap", nil }, "-drive", []string{
			"file=output-x/packer-x,if=virtio," + cache + ",detect-zeroes=unmap"}},
		{"three disks", func(h *Hardware) { h.Disks, h.CDs = []string{"a", "a-1", "a-2"}, nil }, "-drive", []string{
			"file=a,if=virtio," + cache, "file=a-1,if=virtio," + cache, "file=a-2,if=virtio," + cache}},
		{"a comma", func(h *Hardware) { h.Disks, h.CDs = []string{"a,b"}, []string{"c,d"} }, "-drive", []string{
			"file=a,,b,if=virtio," + cache, "file=c,,d,media=cdrom"}},
		{"CDs on ide", func(h *Hardware) { h.CDs, h.CDDrive = []string{"a", "b"}, "ide" }, "-drive", []string{
			"file=output-x/packer-x,if=virtio," + cache,
			"file=a,if=ide,index=0,id=cdrom0,media=cdrom", "file=b,if=ide,index=1,id=cdrom1,media=cdrom"}},
		{"CDs on scsi", func(h *Hardware) { h.CDs, h.CDDrive = []string{"a", "b"}, "virtio-scsi" }, "-drive", []string{
			"file=output-x/packer-x,if=virtio," + cache,
			"file=a,if=none,index=0,id=cdrom0,media=cdrom", "file=b,if=none,index=1,id=cdrom1,media=cdrom"}},
		{"CDs on scsi", func(h *Hardware) { h.CDs, h.CDDrive = []string{"a", "b"}, "virtio-scsi" }, "-device", []string{
			"virtio-net,netdev=user.0", "virtio-scsi-pci,id=scsi0", "virtio-scsi-device", "scsi-cd,drive=cdrom0",
			"virtio-scsi-device", "scsi-cd,drive=cdrom1"}},
		{"all on scsi", func(h *Hardware) {
			h.Disks, h.Disk.Interface, h.CDDrive = []string{"a", "a-1"}, "virtio-scsi", "virtio-scsi"
		}, "-drive", []string{
			"if=none,file=a,id=drive0," + cache, "if=none,file=a-1,id=drive1," + cache,
			"file=/c/a.iso,if=none,index=2,id=cdrom0,media=cdrom"}},
		{"all on scsi", func(h *Hardware) {
			h.Disks, h.Disk.Interface, h.CDDrive = []string{"a", "a-1"}, "virtio-scsi", "virtio-scsi"
		}, "-device", []string{
			"virtio-scsi-pci,id=scsi0", "scsi-hd,bus=scsi0.0,drive=drive0", "scsi-hd,bus=scsi0.0,drive=drive1",
			"virtio-net,netdev=user.0", "virtio-scsi-device", "scsi-cd,drive=cdrom0"}},
	} {
		h := plain()
		c.change(&h)
		if got := h.Switches().Values(c.sw); !slices.Equal(got, c.want) {
			t.Errorf("%s: %s is %q, want %q", c.name, c.sw, got, c.want)
		}
	}
}

func TestOverride(t *testing.T) {
	defaults := Switches{
		{"-name", []string{"x"}}, {"-m", []string{"512M"}},
		{"-device", []string{"virtio-net,netdev=user.0"}}, {"-drive", []string{"file=a", "file=b"}},
	}
	for _, c := range []struct {
		name string
		rows [][]string
		card string
		want string // "" is the error
	}{
		{"nothing", nil, "virtio-net",
			"-name x -m 512M -device virtio-net,netdev=user.0 -drive file=a -drive file=b"},
		{"another", [][]string{{"-vga", "none"}}, "virtio-net",
			"-name x -m 512M -device virtio-net,netdev=user.0 -drive file=a -drive file=b -vga none"},
		{"one for all", [][]string{{"-drive", "file=c"}}, "virtio-net",
			"-name x -m 512M -device virtio-net,netdev=user.0 -drive file=c"},
		{"several", [][]string{{"-drive", "file=c"}, {"-m", "1G"}, {"-drive", "file=d"}}, "virtio-net",
			"-name x -m 1G -device virtio-net,netdev=user.0 -drive file=c -drive file=d"},
		{"in pieces", [][]string{{"-drive", "file=", "c", ",if=ide"}}, "virtio-net",
			"-name x -m 512M -device virtio-net,netdev=user.0 -drive file=c,if=ide"},
		{"two dashes add", [][]string{{"--drive", "file=c"}}, "virtio-net",
			"-name x -m 512M -device virtio-net,netdev=user.0 -drive file=a -drive file=b --drive file=c"},
		{"bare", [][]string{{"-no-reboot"}}, "virtio-net",
			"-name x -m 512M -device virtio-net,netdev=user.0 -drive file=a -drive file=b -no-reboot"},
		{"an empty value", [][]string{{"-m", ""}}, "virtio-net",
			"-name x -m -device virtio-net,netdev=user.0 -drive file=a -drive file=b"},
		{"bare, and with a value", [][]string{{"-m"}, {"-m", "1G"}, {"-m", ""}}, "virtio-net",
			"-name x -m 1G -device virtio-net,netdev=user.0 -drive file=a -drive file=b"},
		{"the card comes back", [][]string{{"-device", "usb-tablet"}}, "virtio-net",
			"-name x -m 512M -device usb-tablet -device virtio-net,netdev=user.0 -drive file=a -drive file=b"},
		{"another card", [][]string{{"-device", "e1000,netdev=n0"}}, "e1000",
			"-name x -m 512M -device e1000,netdev=n0 -drive file=a -drive file=b"},
		{"the wrong card", [][]string{{"-device", "e1000,netdev=n0"}}, "virtio-net",
			"-name x -m 512M -device e1000,netdev=n0 -device virtio-net,netdev=user.0 -drive file=a -drive file=b"},
		{"a card's kind", [][]string{{"-device", "virtio-net-pci,netdev=user.0,mac=1"}}, "virtio-net",
			"-name x -m 512M -device virtio-net-pci,netdev=user.0,mac=1 -drive file=a -drive file=b"},
		{"empty row", [][]string{{"-m", "1G"}, {}}, "virtio-net", ""},
	} {
		got, err := Override(defaults, c.rows, c.card)
		if c.want == "" {
			if err == nil || !strings.Contains(err.Error(), "row 2 of qemuargs is empty") {
				t.Errorf("%s: got %v, %v", c.name, got, err)
			}
			continue
		}
		if line := strings.Join(got.Args(), " "); err != nil || line != c.want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", c.name, err, line, c.want)
		}
	}
	if len(defaults[3].Values) != 2 || defaults[1].Values[0] != "512M" {
		t.Errorf("the defaults were written to: %v", defaults)
	}
}
