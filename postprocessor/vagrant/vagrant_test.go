package vagrant

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kiln"
	"kiln/kilntest"
)

const ovf = `<?xml version="1.0"?>
<Envelope xmlns:vbox="http://www.virtualbox.org/ovf/machine"><References><File href="x-disk001.vmdk"/></References>
<VirtualSystem><vbox:Machine><Hardware><Network>
<Adapter slot="1" enabled="false" MACAddress="080027000001"/>
<Adapter slot="0" enabled="true" MACAddress="080027ABCDEF" type="82540EM"/>
</Network></Hardware></vbox:Machine></VirtualSystem></Envelope>
`

// put writes files, and gives their paths in order.
func put(t *testing.T, files map[string]string) []string {
	t.Helper()
	var paths []string
	for path, text := range files {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o640)); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// ova is an OVA file with the given members, in pairs of name and content.
func ova(t *testing.T, path string, members ...string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := tar.NewWriter(f)
	for i := 0; i < len(members); i += 2 {
		h := &tar.Header{Name: members[i], Mode: 0o600, Size: int64(len(members[i+1]))}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, members[i+1])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// unpack reads a box, in which no name may be there twice and the order is that of names.
func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if z, err := gzip.NewReader(f); err == nil {
		r = z
	} else if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	got, last := map[string]string{}, ""
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Name <= last || h.Typeflag != tar.TypeReg || h.Uid != 0 || h.Mode&0o400 == 0 {
			t.Errorf("entry %+v after %q", h, last)
		}
		text, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		got[h.Name], last = string(text), h.Name
	}
}

// vagrantfile has the lines of the given provider's part.
func vagrantfile(part string) string {
	return "# What the provider needs for this box.\n" + part + "\n# What the template of the image adds, if anything.\n"
}

func inConfigure(provider string, lines ...string) string {
	return vagrantfile("Vagrant.configure(\"2\") do |config|\n  config.vm.provider :" + provider + " do |" + provider +
		", override|\n    " + strings.Join(lines, "\n    ") + "\n  end\nend\n")
}

func TestBoxes(t *testing.T) {
	const qcow2 = "QFI\xfb and more than thirty-two bytes of a header"
	for _, c := range []struct {
		name  string
		in    kiln.Artifact
		files map[string]string // of the artifact
		ova   []string
		p     PostProcessor
		meta  string            // metadata.json, without the architecture
		vf    string            // Vagrantfile
		want  map[string]string // all else
		keep  bool
	}{
		{
			name: "virtualbox ovf", in: kiln.Artifact{Builder: "mitchellh.virtualbox", ID: "VM"},
			files: map[string]string{"out/x.ovf": ovf, "out/x-disk001.vmdk": "KDMV", "out/x.mf": "sums"},
			meta:  `{"provider":"virtualbox"}`,
			vf:    vagrantfile("Vagrant.configure(\"2\") do |config|\n  config.vm.base_mac = \"080027ABCDEF\"\nend\n"),
			want:  map[string]string{"box.ovf": ovf, "x-disk001.vmdk": "KDMV", "x.mf": "sums"},
		},
		{
			name: "virtualbox ova", in: kiln.Artifact{Builder: "mitchellh.virtualbox", ID: "VM", Files: []string{"x.ova"}},
			ova:  []string{"x.ovf", ovf, "dir/x-disk001.vmdk", "KDMV", "x-disk002.vmdk", strings.Repeat("2", 5000)},
			meta: `{"provider":"virtualbox"}`,
			vf:   vagrantfile("Vagrant.configure(\"2\") do |config|\n  config.vm.base_mac = \"080027ABCDEF\"\nend\n"),
			want: map[string]string{"box.ovf": ovf, "x-disk001.vmdk": "KDMV", "x-disk002.vmdk": strings.Repeat("2", 5000)},
		},
		{
			name: "libvirt", in: kiln.Artifact{
				Builder: "transcend.qemu", ID: "VM",
				Labels: map[string]string{"diskName": "vm", "diskType": "qcow2", "domainType": "tcg"},
			},
			files: map[string]string{"out/vm": qcow2, "out/vm-1": qcow2 + "1", "out/vm-2": qcow2 + "2", "out/efivars.fd": "nv",
				"out/vm-10": qcow2 + "10"},
			meta: `{"disks":[{"format":"qcow2","path":"box_0.img"},{"format":"qcow2","path":"box_1.img"},` +
				`{"format":"qcow2","path":"box_2.img"},{"format":"qcow2","path":"box_3.img"}],"provider":"libvirt"}`,
			vf: inConfigure("libvirt", `libvirt.driver = "qemu"`),
			want: map[string]string{"box_0.img": qcow2, "box_1.img": qcow2 + "1", "box_2.img": qcow2 + "2",
				"box_3.img": qcow2 + "10"},
		},
		{
			name: "libvirt of files", in: kiln.Artifact{Builder: "packer.post-processor.artifice"},
			files: map[string]string{"any.img": qcow2, "notes.txt": "not a disk"},
			p:     PostProcessor{ProviderOverride: "libvirt"},
			meta:  `{"disks":[{"format":"qcow2","path":"box_0.img"}],"provider":"libvirt"}`,
			vf:    vagrantfile(""), want: map[string]string{"box_0.img": qcow2},
		},
		{
			name: "kvm", in: kiln.Artifact{Builder: "transcend.qemu", Data: map[string]any{"diskName": "vm", "domainType": "kvm",
				"diskType": "raw"}},
			files: map[string]string{"vm": "raw"}, meta: `{"disks":[{"format":"raw","path":"box_0.img"}],"provider":"libvirt"}`,
			vf: inConfigure("libvirt", `libvirt.driver = "kvm"`), want: map[string]string{"box_0.img": "raw"},
		},
		{
			name: "aws", in: kiln.Artifact{Builder: "mitchellh.amazonebs", ID: "eu-west-1:ami-2,us-east-1:ami-1"}, keep: true,
			meta: `{"provider":"aws"}`, vf: inConfigure("aws", `aws.region_config "eu-west-1", ami: "ami-2"`,
				`aws.region_config "us-east-1", ami: "ami-1"`),
		},
		{
			name: "docker", in: kiln.Artifact{Builder: "packer.post-processor.docker-tag", ID: `acme/x:1"#{}\`},
			meta: `{"provider":"docker"}`, vf: inConfigure("docker", `docker.image = "acme/x:1\"\#{}\\"`),
		},
		{
			name: "digitalocean", in: kiln.Artifact{Builder: "pearkes.digitalocean", ID: "nyc3,ams3:123"}, keep: true,
			meta: `{"provider":"digital_ocean"}`,
			vf:   inConfigure("digital_ocean", `digital_ocean.image = "123"`, `digital_ocean.region = "nyc3,ams3"`),
		},
		{
			name: "google", in: kiln.Artifact{Builder: "packer.googlecompute", ID: "img-1"}, keep: true,
			meta: `{"provider":"google"}`, vf: inConfigure("google", `google.image = "img-1"`),
		},
		{
			name: "scaleway", in: kiln.Artifact{Builder: "hashicorp.scaleway", ID: "fr-par-1:abc"}, keep: true,
			meta: `{"provider":"scaleway"}`,
			vf:   inConfigure("scaleway", `scaleway.image = "abc"`, `scaleway.region = "fr-par-1"`),
		},
		{
			name: "azure", in: kiln.Artifact{Builder: "Azure.ResourceManagement.VMImage", Text: "X:\n\nOSType: Linux\n" +
				"ManagedImageId: /subscriptions/1\nManagedImageLocation: westus\n"}, keep: true,
			meta: `{"provider":"azure"}`,
			vf: inConfigure("azure", `azure.location = "westus"`, `azure.vm_managed_image_id = "/subscriptions/1"`,
				"override.winrm.transport = :ssl", "override.winrm.port = 5986"),
		},
		{
			name: "azure disk", in: kiln.Artifact{Builder: "Azure.ResourceManagement.VMImage", Text: "OSType: Linux\n" +
				"StorageAccountLocation: westus\nOSDiskUri: https://x/y.vhd\n"}, keep: true,
			meta: `{"provider":"azure"}`,
			vf: inConfigure("azure", `azure.location = "westus"`, `azure.vm_vhd_uri = "https://x/y.vhd"`,
				`azure.vm_operating_system = "Linux"`, "override.winrm.transport = :ssl", "override.winrm.port = 5986"),
		},
		{
			name: "vmware", in: kiln.Artifact{Builder: "mitchellh.vmware"}, files: map[string]string{"o/a.vmx": "a", "o/a.vmdk": "b"},
			meta: `{"provider":"vmware_desktop"}`, vf: vagrantfile(""), want: map[string]string{"a.vmx": "a", "a.vmdk": "b"},
		},
		{
			name: "hyperv", in: kiln.Artifact{Builder: "MSOpenTech.hyperv", Text: "VM files in directory: out"},
			files: map[string]string{"out/Virtual Hard Disks/d.vhdx": "d", "out/box.xml": "x"},
			meta:  `{"provider":"hyperv"}`, vf: vagrantfile(""),
			want: map[string]string{"Virtual Hard Disks/d.vhdx": "d", "box.xml": "x"},
		},
		{
			name: "parallels", in: kiln.Artifact{Builder: "packer.parallels"},
			files: map[string]string{"o/m.pvm/config.pvs": "c", "o/m.pvm/parallels.log": "l", "o/m.pvm/Windows Disks/x": "w",
				"o/m.pvm/h.hdd/disk": "d", "o/other": "o", "o/m.pvm/config.pvs.Backup": "b", "o/m.pvm/X.app/y": "y"},
			meta: `{"provider":"parallels"}`, vf: vagrantfile(""),
			want: map[string]string{"m.pvm/config.pvs": "c", "m.pvm/h.hdd/disk": "d"},
		},
		{
			name: "lxc", in: kiln.Artifact{Builder: "ustream.lxc"}, files: map[string]string{"o/rootfs.tar.gz": "r"},
			meta: `{"provider":"lxc","version":"1.0.0"}`, vf: vagrantfile(""), want: map[string]string{"rootfs.tar.gz": "r"},
		},
		{
			name: "file", in: kiln.Artifact{Builder: "packer.file"}, files: map[string]string{"t.txt": "t", "info.json": "{}",
				"metadata.json": "{}\n"},
			p:    PostProcessor{Include: []string{"t.txt"}, CompressionLevel: 0, VagrantfileTemplate: "vf"},
			meta: `{}`, vf: vagrantfile("") + "custom file amd64 test", want: map[string]string{"t.txt": "t", "info.json": "{}"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			b, _ := kilntest.NewBuild(t)
			in := c.in
			if c.ova != nil {
				ova(t, in.Files[0], c.ova...)
			} else {
				in.Files = put(t, c.files)
			}
			put(t, map[string]string{"vf": "custom {{.Provider}} {{.Architecture}} {{.BuildName}}"})
			p := c.p
			p.Output, p.Architecture = "box/{{.BuildName}}.{{.Provider}}.box", "amd64"
			if p.CompressionLevel == 0 && c.name != "file" {
				p.CompressionLevel = -1
			}
			if err := p.Validate(); err != nil {
				t.Fatal(err)
			}
			if keep := p.KeepOf(&in); keep.Default != c.keep || !keep.Forced {
				t.Errorf("keep: %+v", keep)
			}
			out, err := p.Process(t.Context(), b, &in)
			if err != nil {
				t.Fatal(err)
			}
			path := "box/test." + out.ID + ".box"
			if out.Builder != BoxID || !slices.Equal(out.Files, []string{path}) ||
				out.Text != "'"+out.ID+"' provider box: "+path {
				t.Errorf("artifact: %+v", out)
			}
			got := unpack(t, path)
			var meta map[string]any
			if err := json.Unmarshal([]byte(got["metadata.json"]), &meta); err != nil || c.meta != `{}` &&
				(meta["architecture"] != "amd64" || !strings.HasSuffix(got["metadata.json"], "}\n")) {
				t.Errorf("metadata.json: %q, %v", got["metadata.json"], err)
			}
			delete(meta, "architecture")
			if m, _ := json.Marshal(meta); string(m) != c.meta {
				t.Errorf("metadata.json: %s, not %s", m, c.meta)
			}
			if got["Vagrantfile"] != c.vf {
				t.Errorf("Vagrantfile:\n%s\nnot\n%s", got["Vagrantfile"], c.vf)
			}
			delete(got, "Vagrantfile")
			delete(got, "metadata.json")
			for name, text := range c.want {
				if got[name] != text {
					t.Errorf("%s: %.50q, not %.50q", name, got[name], text)
				}
				delete(got, name)
			}
			if len(got) > 0 {
				t.Errorf("also in the box: %v", got)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	box := func(a kiln.Artifact, more ...string) (kiln.Artifact, []string) { return a, more }
	for want, c := range map[string]func() (kiln.Artifact, []string){
		"Unknown artifact type, can't build box: fnoeding.null": func() (kiln.Artifact, []string) {
			return box(kiln.Artifact{Builder: "fnoeding.null"})
		},
		"provider_override must say": func() (kiln.Artifact, []string) {
			return box(kiln.Artifact{Builder: "packer.post-processor.artifice"})
		},
		"no .ovf file": func() (kiln.Artifact, []string) {
			return box(kiln.Artifact{Builder: "mitchellh.virtualbox"}, "a.vmdk", "")
		},
		"more than one description: a.ovf and b.ovf": func() (kiln.Artifact, []string) {
			return box(kiln.Artifact{Builder: "mitchellh.virtualbox"}, "a.ovf", ovf, "b.ovf", ovf)
		},
		"names no MACAddress": func() (kiln.Artifact, []string) {
			return box(kiln.Artifact{Builder: "mitchellh.virtualbox"}, "a.ovf", "<x/>")
		},
		"not a whole description": func() (kiln.Artifact, []string) {
			return box(kiln.Artifact{Builder: "mitchellh.virtualbox"}, "a.ovf", ovf[:200])
		},
		"it is not an OVA, or not whole": func() (kiln.Artifact, []string) {
			return box(kiln.Artifact{Builder: "mitchellh.virtualbox"}, "a.ova", strings.Repeat("no archive ", 100))
		},
		"Unknown libvirt domain type: xen": func() (kiln.Artifact, []string) {
			return box(kiln.Artifact{Builder: "transcend.qemu", Labels: map[string]string{"diskName": "vm", "domainType": "xen"}},
				"vm", "QFI\xfb")
		},
		"no file of the artifact is a disk": func() (kiln.Artifact, []string) {
			return box(kiln.Artifact{Builder: "transcend.qemu"}, "a.txt", "text")
		},
		"no files that such a box is made of": func() (kiln.Artifact, []string) { return box(kiln.Artifact{Builder: "ustream.lxc"}) },
		"is not REGION:AMI": func() (kiln.Artifact, []string) {
			return box(kiln.Artifact{Builder: "mitchellh.amazonebs", ID: "x"})
		},
		"no id to refer to": func() (kiln.Artifact, []string) { return box(kiln.Artifact{Builder: "packer.googlecompute"}) },
		"two files of the artifact would be x": func() (kiln.Artifact, []string) {
			return box(kiln.Artifact{Builder: "packer.file"}, "a/x", "", "b/x", "")
		},
		"names neither ManagedImageId": func() (kiln.Artifact, []string) {
			return box(kiln.Artifact{Builder: "Azure.ResourceManagement.VMImage"})
		},
		"in a folder *.pvm": func() (kiln.Artifact, []string) {
			return box(kiln.Artifact{Builder: "packer.parallels"}, "a.log", "")
		},
		"neither in the folder": func() (kiln.Artifact, []string) {
			return box(kiln.Artifact{Builder: "MSOpenTech.hyperv", Text: "x: elsewhere"}, "a.vhdx", "")
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Chdir(t.TempDir())
			b, r := kilntest.NewBuild(t)
			in, files := c()
			all := map[string]string{}
			for i := 0; i < len(files); i += 2 {
				all[files[i]] = files[i+1]
			}
			in.Files = put(t, all)
			p := &PostProcessor{Output: "x.box", CompressionLevel: -1}
			if _, err := p.Process(t.Context(), b, &in); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat("x.box"); err == nil || len(r.Balance()) > 0 {
				t.Errorf("left: %v", r.Balance())
			}
		})
	}
}

func TestValidate(t *testing.T) {
	t.Chdir(t.TempDir())
	ten, none := 10, "none"
	for want, p := range map[string]*PostProcessor{
		`there is no provider "lib"; known are aws, azure`: {ProviderOverride: "lib"},
		"compression_level is from 1 to 9":                 {CompressionLevel: -2},
		"none: no such file or directory":                  {VagrantfileTemplate: "none"},
		"":                                                 {VagrantfileTemplate: "none", VagrantfileTemplateGenerated: true},
		"not 10":                                           {Override: Overrides{AWS: &Override{CompressionLevel: &ten, VagrantfileTemplate: &none}}},
	} {
		for range 2 {
			err := p.Validate()
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%q: got %v", want, err)
			}
		}
	}
	out, yes, arm := "o", true, "arm64"
	p := &PostProcessor{Output: "x", Include: []string{"a"}, Override: Overrides{VirtualBox: &Override{
		Output: &out, VagrantfileTemplateGenerated: &yes, Architecture: &arm, Include: []string{"b"}}}}
	if v := p.with("virtualbox"); v.Output != "o" || !v.VagrantfileTemplateGenerated || v.Architecture != "arm64" ||
		v.Include[0] != "b" || v.CompressionLevel != 0 {
		t.Errorf("got %+v", v)
	}
	if v := p.with("aws"); v.Output != "x" || v.Include[0] != "a" {
		t.Errorf("got %+v", v)
	}
}

func TestConformance(t *testing.T) {
	put := func() *kiln.Artifact {
		for name, text := range map[string]string{"x.ovf": ovf, "x-disk001.vmdk": "disk"} {
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return &kiln.Artifact{Builder: "mitchellh.virtualbox", ID: "VM", Files: []string{"x-disk001.vmdk", "x.ovf"}}
	}
	kilntest.TestPostProcessor(t, kilntest.PostProcessorOptions{
		New: func() kiln.PostProcessor {
			return &PostProcessor{Output: "out/{{.BuildName}}.box", CompressionLevel: -1}
		},
		In:    put,
		Stays: []string{"out", "x.ovf", "x-disk001.vmdk"},
	})
}

func FuzzOVF(f *testing.F) {
	f.Add(ovf)
	f.Add(`<Adapter slot="0" MACAddress="1"/>`)
	f.Fuzz(func(t *testing.T, text string) {
		if mac, err := parseMAC(strings.NewReader(text)); (mac == "") == (err == nil) {
			t.Errorf("%q, %v", mac, err)
		}
	})
}

func FuzzOVA(f *testing.F) {
	ova := func(members ...string) string {
		var s strings.Builder
		w := tar.NewWriter(&s)
		for _, m := range members {
			w.WriteHeader(&tar.Header{Name: m, Size: 1, Mode: 0o600})
			io.WriteString(w, "x")
		}
		w.Close()
		return s.String()
	}
	f.Add(ova("a.ovf", "b.vmdk"))
	f.Add(ova(".."))
	f.Fuzz(func(t *testing.T, text string) {
		all, err := members(strings.NewReader(text), nil)
		for _, m := range all {
			if m.Name == ".." || m.Name == "" || strings.Contains(m.Name, "/") || m.Size < 0 {
				t.Errorf("member %+v, %v", m, err)
			}
		}
	})
}
