package boot

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kiln"
	"kiln/kilntest"
)

// disk makes a disk of 1 MiB with a boot sector, in a format.
func disk(t *testing.T, path, format string, options ...string) {
	t.Helper()
	raw := filepath.Join(t.TempDir(), "raw")
	sectors := make([]byte, 1<<20)
	sectors[sector-2], sectors[sector-1] = 0x55, 0xaa
	if err := os.WriteFile(raw, sectors, 0o644); err != nil {
		t.Fatal(err)
	}
	args := append(append([]string{"convert", "-f", "raw", "-O", format}, options...), raw, path)
	if out, err := exec.Command("qemu-img", args...).CombinedOutput(); err != nil {
		kilntest.Require(t, "qemu", fmt.Errorf("%w: %s", err, out))
	}
}

const ovf = `<?xml version="1.0"?>
<Envelope ovf:version="1.0" xmlns="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References><File ovf:href="other.nvram" ovf:id="x"/><File ovf:href="d1.vmdk" ovf:id="file1"/></References>
  <DiskSection><Info>disks</Info><Disk ovf:capacity="1" ovf:diskId="vmdisk1" ovf:fileRef="file1"/></DiskSection>
</Envelope>`

// pack makes a tar of files in a folder.
func pack(t *testing.T, path, dir string, zipped bool, names ...string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	to := io.Writer(f)
	if zipped {
		z := gzip.NewWriter(f)
		defer z.Close()
		to = z
	}
	w := tar.NewWriter(to)
	defer w.Close()
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteHeader(&tar.Header{Name: "./" + name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Each form of an image is recognized by what it is.
func TestFind(t *testing.T) {
	_, err := exec.LookPath("qemu-img")
	kilntest.Require(t, "qemu", err)
	t.Chdir(t.TempDir())
	t.Setenv("TMPDIR", t.TempDir())
	for _, format := range []string{"qcow2", "raw", "vmdk", "vdi", "vhdx"} {
		disk(t, "a."+format, format)
	}
	disk(t, "dynamic.vhd", "vpc")
	disk(t, "fixed.vhd", "vpc", "-o", "subformat=fixed,force_size=on")
	disk(t, "d1.vmdk", "vmdk", "-o", "subformat=streamOptimized")
	write(t, "m.ovf", ovf)
	pack(t, "m.ova", ".", false, "m.ovf", "d1.vmdk")
	write(t, "metadata.json", "{}")
	write(t, "Vagrantfile", "")
	disk(t, "box.img", "qcow2")
	pack(t, "libvirt.box", ".", true, "metadata.json", "Vagrantfile", "box.img")
	pack(t, "virtualbox.box", ".", true, "metadata.json", "m.ovf", "d1.vmdk")
	pack(t, "cloud.box", ".", true, "metadata.json", "Vagrantfile")
	pack(t, "empty.ova", ".", false, "metadata.json")
	pack(t, "half.ova", ".", false, "m.ovf")
	write(t, "text", strings.Repeat("no disk\n", 1000))
	write(t, "a.qcow2.gz", "x")
	write(t, "a.iso", "x")
	write(t, "broken.box", "x")
	write(t, "broken.ovf", "<Envelope>")
	write(t, "outside.ovf", strings.ReplaceAll(ovf, "d1.vmdk", "../d1.vmdk"))
	write(t, "none/readme", "no disk here")
	disk(t, filepath.Join(t.TempDir(), "x"), "raw")
	if err := os.Mkdir("out", 0o755); err != nil {
		t.Fatal(err)
	}
	disk(t, "out/packer-x", "qcow2")
	disk(t, "out/packer-x-1", "qcow2")
	write(t, "out/efivars.fd", "variables")
	write(t, "out/sums.txt", "x")
	for _, c := range []struct {
		path  string
		disks string // formats
		vars  bool
		wrong string
	}{
		{"a.qcow2", "qcow2", false, ""},
		{"a.raw", "raw", false, ""},
		{"a.vmdk", "vmdk", false, ""},
		{"a.vdi", "vdi", false, ""},
		{"a.vhdx", "vhdx", false, ""},
		{"dynamic.vhd", "vpc", false, ""},
		{"fixed.vhd", "vpc", false, ""},
		{"m.ovf", "vmdk", false, ""},
		{"m.ova", "vmdk", false, ""},
		{"libvirt.box", "qcow2", false, ""},
		{"virtualbox.box", "vmdk", false, ""},
		{"out", "qcow2 qcow2", true, ""},
		{"nothing", "", false, "nothing: not found"},
		{"text", "", false, "text: it has no boot sector, and no format that qemu-img knows"},
		{"a.qcow2.gz", "", false, "it is compressed: unpack it first"},
		{"a.iso", "", false, "a CD is not started from"},
		{"none", "", false, "the folder none has no disk"},
		{"cloud.box", "", false, "it has no disk, as boxes for clouds and containers have none"},
		{"broken.box", "", false, "it is not a box that can be unpacked"},
		{"empty.ova", "", false, "it has no OVF file"},
		{"half.ova", "", false, "its disk d1.vmdk is not in it"},
		{"broken.ovf", "", false, "it is not an OVF"},
		{"outside.ovf", "", false, `its disk "../d1.vmdk" is not beside it`},
		{"text/in/it", "", false, "not a directory"},
	} {
		b, _ := kilntest.NewBuild(t)
		image, err := Find(t.Context(), b, c.path)
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s: %v, want %q", c.path, err, c.wrong)
			}
		} else if err != nil {
			t.Errorf("%s: %v", c.path, err)
		} else {
			looks(t, c.path, image, c.disks, c.vars)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// looks checks an image, and that qemu-img can read each of its disks below an overlay.
func looks(t *testing.T, name string, image *Image, disks string, vars bool) {
	t.Helper()
	var formats []string
	for _, d := range image.Disks {
		formats = append(formats, d.Format)
		if d.Size < 1<<20 || d.Size > 2<<20 {
			t.Errorf("%s: a disk of %d bytes", name, d.Size)
		}
		overlay := filepath.Join(t.TempDir(), "overlay")
		for _, args := range [][]string{
			{"create", "-q", "-f", "qcow2", "-F", d.Format, "-b", d.File, overlay},
			{"dd", "-f", "qcow2", "-O", "raw", "bs=512", "count=1", "if=" + overlay, "of=" + overlay + ".head"},
		} {
			if out, err := exec.Command("qemu-img", args...).CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", name, err, out)
			}
		}
		if head, err := os.ReadFile(overlay + ".head"); err != nil || !hasBootSector(head) {
			t.Errorf("%s: the boot sector is not there: %v", name, err)
		}
	}
	if got := strings.Join(formats, " "); got != disks || (image.EFIVars != "") != vars {
		t.Errorf("%s: disks %q, EFI variables %q", name, got, image.EFIVars)
	}
}

// Of an artifact's files those count that are disks.
func TestFindOfArtifact(t *testing.T) {
	_, err := exec.LookPath("qemu-img")
	kilntest.Require(t, "qemu", err)
	t.Chdir(t.TempDir())
	disk(t, "b", "qcow2")
	disk(t, "b-1", "raw")
	write(t, "b.sum", "text")
	build, _ := kilntest.NewBuild(t)
	image, err := Find(t.Context(), build, "b-1", "b.sum", "b")
	if err != nil || len(image.Disks) != 2 || image.Disks[0].Name != "b" {
		t.Errorf("%v, %v", image, err)
	}
	if _, err := Find(t.Context(), build, "b.sum", "c.sum"); !errors.Is(err, kiln.ErrNotFound) {
		t.Errorf("of files one of which is gone: %v", err)
	}
	write(t, "c.sum", "text")
	if _, err := Find(t.Context(), build, "b.sum", "c.sum"); !errors.Is(err, ErrNoDisk) {
		t.Errorf("of files none of which is a disk: %v", err)
	}
}

func FuzzOVF(f *testing.F) {
	f.Add([]byte(ovf))
	f.Add([]byte("<Envelope><References><File id='a' href='/b'/></References></Envelope>"))
	f.Fuzz(func(t *testing.T, text []byte) {
		names, err := ovfDisks(text)
		if (err == nil) != (len(names) > 0) {
			t.Errorf("%v, %v", names, err)
		}
		for _, name := range names {
			if !filepath.IsLocal(filepath.FromSlash(name)) {
				t.Errorf("%q leads out", name)
			}
		}
	})
}
