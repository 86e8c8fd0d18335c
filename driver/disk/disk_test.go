package disk

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLook looks at what qemu-img makes.
func TestLook(t *testing.T) {
	t.Chdir(t.TempDir())
	sector := make([]byte, 1<<20)
	copy(sector[510:], "\x55\xaa")
	gpt := make([]byte, 1<<20)
	copy(gpt[512:], "EFI PART")
	for name, content := range map[string][]byte{
		"mbr": sector, "gpt": gpt, "zeros": make([]byte, 1<<20), "text": []byte("no disk"), "empty": nil, "short": []byte("QFI\xfb"),
	} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range []string{
		"-f qcow2 a.qcow2 3M", "-f qcow2 -b a.qcow2 -F qcow2 b.qcow2", "-f vmdk a.vmdk 3M",
		"-f vmdk -o subformat=streamOptimized stream.vmdk 3M", "-f vmdk -o subformat=monolithicFlat flat.vmdk 3M",
		"-f vdi a.vdi 3M", "-f vhdx a.vhdx 3M", "-f vpc a.vhd 3M",
	} {
		if out, err := exec.Command("qemu-img", append([]string{"create"}, strings.Fields(args)...)...).CombinedOutput(); err != nil {
			t.Fatalf("qemu-img create %s: %v\n%s", args, err, out)
		}
	}
	if out, err := exec.Command("qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "subformat=fixed,force_size=on", "mbr",
		"fixed.vhd").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, want := range map[string]Image{
		"mbr": {Format: Raw, Partitioned: true, VirtualSize: 1 << 20}, "gpt": {Format: Raw, Partitioned: true, VirtualSize: 1 << 20},
		"zeros": {}, "text": {}, "empty": {}, "short": {},
		"a.qcow2": {Format: QCOW2, VirtualSize: 3 << 20}, "b.qcow2": {Format: QCOW2, VirtualSize: 3 << 20, Backing: "a.qcow2"},
		"a.vmdk": {Format: VMDK}, "stream.vmdk": {Format: VMDK}, "flat.vmdk": {Format: VMDK},
		"a.vdi": {Format: VDI}, "a.vhdx": {Format: VHDX}, "a.vhd": {Format: VHD}, "fixed.vhd": {Format: VHD},
	} {
		if got, err := Look(name); err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, path := range []string{"none", "."} {
		if got, err := Look(filepath.Clean(path)); err == nil {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

func FuzzSniff(f *testing.F) {
	f.Add("QFI\xfb\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x20\x00\x00\x00\x04\x00\x00\x00\x10\x00\x00\x00\x00\x00\x10\x00\x00base")
	f.Add("conectix")
	f.Add(strings.Repeat("\x00", 510) + "\x55\xaa")
	f.Fuzz(func(t *testing.T, text string) {
		i, err := Sniff(strings.NewReader(text), int64(len(text)))
		if err != nil || i.Format == "" && i != (Image{}) {
			t.Errorf("%+v, %v", i, err)
		}
	})
}
