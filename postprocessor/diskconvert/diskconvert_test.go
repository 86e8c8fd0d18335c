//go:build unix

package diskconvert

import (
	"encoding/binary"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"kiln"
	"kiln/driver/disk"
	"kiln/kilntest"
)

// qemuImg runs qemu-img by hand.
func qemuImg(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("qemu-img", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("qemu-img %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// rawDisk makes a raw disk of some size with a boot sector, some data and a large hole.
func rawDisk(t *testing.T, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for offset, text := range map[int64]string{510: "\x55\xaa", 1 << 20: strings.Repeat("data on the disk ", 5000), size - 9: "the end.\n"} {
		if _, err := f.WriteAt([]byte(text), offset); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFormats(t *testing.T) {
	t.Chdir(t.TempDir())
	// No multiple of what old disks were counted in.
	const size = 67<<20 + 512
	rawDisk(t, "in.raw", size)
	for _, p := range []PostProcessor{
		{Format: "qcow2"}, {Format: "qcow2", Compression: true},
		{Format: "qcow2", Options: map[string]string{"cluster_size": "2M", "compression_type": "zstd"}},
		{Format: "vmdk"}, {Format: "vmdk", Subformat: "streamOptimized", Options: map[string]string{"adapter_type": "lsilogic"}},
		{Format: "vmdk", Compression: true}, {Format: "vhd"}, {Format: "vhd", Subformat: "fixed"},
		{Format: "vhd", Options: map[string]string{"force_size": "off"}},
		{Format: "vdi"}, {Format: "vdi", Subformat: "fixed"}, {Format: "vhdx"}, {Format: "vhdx", Subformat: "fixed"},
		{Format: "raw", SourceFormat: "raw"},
	} {
		name := strings.Join(p.args("raw", "", ""), " ")
		t.Run(name, func(t *testing.T) {
			b, _ := kilntest.NewBuild(t)
			p.Output = "{{.Format}}/{{.BuildName}}-{{.Name}}-{{.Index}}"
			if err := p.Validate(); err != nil {
				t.Fatal(err)
			}
			out, err := p.Process(t.Context(), b, &kiln.Artifact{Files: []string{"in.raw"}, Data: map[string]any{"ID": "1"}})
			if err != nil {
				t.Fatal(err)
			}
			path := p.Format + "/test-in-0"
			if out.Builder != ArtifactID || out.ID != p.Format || !slices.Equal(out.Files, []string{path}) ||
				out.Labels["diskType"] != qemuName(p.Format) || out.Data["ID"] != "1" || len(out.Resources) != 1 {
				t.Errorf("artifact: %+v", out)
			}
			format := qemuName(p.Format)
			if image, err := disk.Look(path); err != nil || image.Format != format {
				t.Errorf("%+v, %v", image, err)
			}
			qemuImg(t, "compare", "-f", "raw", "-F", format, "in.raw", path)
			if p.Compression && !strings.Contains(qemuImg(t, "info", "-f", format, path), p.Format) {
				t.Error("the format is another")
			}
			// A hole costs nothing, unless it was asked for.
			_, blocks := usage(t, path)
			if p.Subformat != "fixed" && blocks > 16<<20 {
				t.Errorf("%d bytes are used", blocks)
			}
		})
	}
}

func TestSeveralFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	os.Mkdir("out", 0o755)
	qemuImg(t, "create", "-q", "-f", "qcow2", "out/vm", "4M")
	qemuImg(t, "create", "-q", "-f", "qcow2", "out/vm-1", "3M")
	qemuImg(t, "create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat", "out/flat.vmdk", "3M")
	for name, text := range map[string]string{"out/efivars.fd": "variables", "out/x.ovf": "<x/>"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, _ := kilntest.NewBuild(t)
	p := &PostProcessor{Format: "raw", Output: "new/{{.Name}}.{{.Format}}"}
	out, err := p.Process(t.Context(), b, &kiln.Artifact{
		Builder: "transcend.qemu", ID: "VM", Labels: map[string]string{"domainType": "tcg", "diskName": "vm"},
		Files: []string{"out/efivars.fd", "out/flat-flat.vmdk", "out/flat.vmdk", "out/vm", "out/vm-1", "out/x.ovf"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"new/flat.raw", "new/vm.raw", "new/vm-1.raw", "out/efivars.fd"}
	if !slices.Equal(out.Files, want) || out.Labels["domainType"] != "tcg" || out.Labels["diskName"] != "" {
		t.Errorf("artifact: %+v", out)
	}
	for path, size := range map[string]int64{"new/flat.raw": 3 << 20, "new/vm.raw": 4 << 20, "new/vm-1.raw": 3 << 20} {
		if is, _ := usage(t, path); is != size {
			t.Errorf("%s has %d bytes", path, is)
		}
	}
}

// TestLeak converts a disk with a cluster that nothing uses, as a crash of its machine leaves: no data is lost.
func TestLeak(t *testing.T) {
	t.Chdir(t.TempDir())
	qemuImg(t, "create", "-q", "-f", "qcow2", "leak.qcow2", "4M")
	text, err := os.ReadFile("leak.qcow2")
	if err != nil {
		t.Fatal(err)
	}
	const cluster = 64 << 10
	n := (len(text) + cluster - 1) / cluster
	text = append(text, make([]byte, (n+1)*cluster-len(text))...)
	table := binary.BigEndian.Uint64(text[48:])
	block := binary.BigEndian.Uint64(text[table:])
	binary.BigEndian.PutUint16(text[block+2*uint64(n):], 1)
	if err := os.WriteFile("leak.qcow2", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("qemu-img", "check", "leak.qcow2").CombinedOutput(); err == nil {
		t.Fatalf("nothing leaks: %s", out)
	}
	b, _ := kilntest.NewBuild(t)
	p := &PostProcessor{Format: "raw", Output: "o"}
	if _, err := p.Process(t.Context(), b, &kiln.Artifact{Files: []string{"leak.qcow2"}}); err != nil {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	qemuImg(t, "create", "-q", "-f", "qcow2", "good.qcow2", "4M")
	text, err := os.ReadFile("good.qcow2")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"cut.qcow2": string(text[:1000]), "a.txt": "text", "x.ova": "archive", "boot.raw": "", "efivars.fd": "",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for want, c := range map[string]struct {
		p     PostProcessor
		files []string
		path  string
	}{
		"has no files, and so no disk":                       {},
		"no file of the artifact is a disk: a.txt, efivars.": {files: []string{"a.txt", "efivars.fd"}},
		"x.ova holds its disk in an archive":                 {files: []string{"x.ova"}},
		"open none.qcow2":                                    {files: []string{"none.qcow2"}},
		"cut.qcow2 to o: the disk is damaged: ":              {files: []string{"cut.qcow2"}},
		"is the disk itself":                                 {files: []string{"good.qcow2"}, p: PostProcessor{Output: "good.qcow2"}},
		"would both be o":                                    {files: []string{"good.qcow2", "boot.raw"}},
		"no_such_option":                                     {files: []string{"good.qcow2"}, p: PostProcessor{Options: map[string]string{"no_such_option": "1"}}},
		"qemu-img was not found: it is in the package":       {files: []string{"good.qcow2"}, path: "/nowhere"},
		"invalid VMDK":                                       {files: []string{"good.qcow2"}, p: PostProcessor{SourceFormat: "vmdk"}},
	} {
		t.Run(want, func(t *testing.T) {
			if c.path != "" {
				t.Setenv("PATH", c.path)
			}
			b, r := kilntest.NewBuild(t)
			p := c.p
			p.Format = "qcow2"
			if p.Output == "" {
				p.Output = "o"
			}
			_, err := p.Process(t.Context(), b, &kiln.Artifact{Files: c.files})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat("o"); err == nil || len(r.Balance()) > 0 {
				t.Errorf("left: %v", r.Balance())
			}
		})
	}
	if left, _ := os.ReadDir("."); len(left) != 6 { // as many as before
		t.Errorf("left: %v", left)
	}
	if err := (&PostProcessor{}).compare(1000, 1536); err == nil {
		t.Error("another size is accepted")
	}
}

func TestValidate(t *testing.T) {
	for want, p := range map[string]*PostProcessor{
		"qcow2 has no subformats":           {Format: "qcow2", Subformat: "x"},
		"makes several files":               {Format: "vmdk", Subformat: "twoGbMaxExtentSparse"},
		"vhd has no subformat \"x\"; known": {Format: "vhd", Subformat: "x"},
		"can be compressed":                 {Format: "vhd", Compression: true},
		"as streamOptimized, can be":        {Format: "vmdk", Subformat: "monolithicSparse", Compression: true},
		"an option of its own":              {Format: "vmdk", Options: map[string]string{"subformat": "x"}},
		"does not stand alone":              {Format: "qcow2", Options: map[string]string{"backing_file": "x"}},
		"is no name of an option":           {Format: "qcow2", Options: map[string]string{"a=b,c": "x"}},
	} {
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
	t.Setenv("PATH", "/nowhere")
	if err := (&PostProcessor{Format: "raw"}).Validate(); err == nil || !strings.Contains(err.Error(), "qemu-utils") {
		t.Errorf("got %v", err)
	}
}

func TestConformance(t *testing.T) {
	in := func() *kiln.Artifact {
		rawDisk(t, "in.img", 4<<20)
		return &kiln.Artifact{Builder: "packer.file", ID: "File", Files: []string{"in.img"}}
	}
	for _, p := range []PostProcessor{
		{Format: "qcow2", Compression: true, Output: "out/{{.Name}}.{{.Format}}"}, {Format: "vmdk", Output: "o.vmdk"},
	} {
		t.Run(p.Format, func(t *testing.T) {
			kilntest.TestPostProcessor(t, kilntest.PostProcessorOptions{
				New:   func() kiln.PostProcessor { c := p; return &c },
				In:    in,
				Stays: []string{"out"},
			})
		})
	}
}
