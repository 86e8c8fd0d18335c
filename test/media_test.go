package test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"kiln"
	"kiln/internal/engine"
	"kiln/media/cd"
	"kiln/media/floppy"
	"kiln/media/httpd"
	"kiln/media/iso"
	"kiln/schema"
	"kiln/vm"
)

// machine is a builder's configuration as far as it holds what is in media.
type machine struct {
	HTTP   httpd.Config  `kiln:",squash"`
	Floppy floppy.Config `kiln:",squash"`
	CD     cd.Config     `kiln:",squash"`
	ISO    iso.Config    `kiln:",squash"`

	Ports    vm.HostPorts       `kiln:",squash"`
	Shutdown vm.FullShutdown    `kiln:",squash"`
	Output   vm.OutputDirectory `kiln:",squash"`
}

// Each option of the media has its documentation and stands beside the builder's own.
func TestMediaAreDocumented(t *testing.T) {
	block, _, err := schema.Documented(kiln.Sources, "kiln", &machine{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range block.Fields {
		if f.Doc == "" {
			t.Errorf("%s has no documentation", f.Name)
		}
	}
	want := "acpi_shutdown cd_content cd_files cd_label disable_shutdown floppy_content floppy_dirs floppy_files " +
		"floppy_label host_port_max host_port_min http_bind_address http_content http_directory http_interface " +
		"http_network_protocol http_port_max http_port_min iso_checksum iso_target_extension iso_target_path iso_url " +
		"iso_urls output_directory post_shutdown_delay shutdown_command shutdown_timeout skip_nat_mapping " +
		"ssh_host_port_max ssh_host_port_min"
	if got := strings.Join(block.Names(), " "); got != want {
		t.Errorf("the options are %s", got)
	}
	m := &machine{}
	schema.Defaults(m)
	if m.HTTP.PortMin != 8000 || m.HTTP.PortMax != 9000 || m.Floppy.Label != "packer" || m.CD.Label != "packer" ||
		m.ISO.TargetExtension != "iso" || m.Ports.Min != 2222 || m.Ports.Max != 4444 ||
		m.Shutdown.Timeout != 5*time.Minute {
		t.Errorf("the defaults are %v", m)
	}
}

// What is put beside a guest is part of what its state depends on: the content of each
// file, those that a wildcard names too.
func TestMediaAreLayerInputs(t *testing.T) {
	t.Chdir(t.TempDir())
	put := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"http", "cd", "floppy"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m := &machine{
		HTTP:   httpd.Config{Directory: "http"},
		Floppy: floppy.Config{Files: []string{"floppy/*.txt"}, Dirs: []string{"floppy/d*"}},
		CD:     cd.Config{Files: []string{"cd/*"}, Content: map[string]string{"a": "1"}},
	}
	hasher := engine.NewHasher([]byte("key"))
	last := engine.Inputs{}
	for what, change := range map[string]func(){
		"a file to serve":      func() { put("http/ks.cfg", "x") },
		"a file on the floppy": func() { put("floppy/a.txt", "x") },
		"a folder on it":       func() { put("floppy/drivers", "x") },
		"a file on the CD":     func() { put("cd/user-data", "x") },
		"a text on the CD":     func() { m.CD.Content["a"] = "2" },
		"the label of the CD":  func() { m.CD.Label = "cidata" },
	} {
		change()
		in, err := hasher.Builder("machine", m)
		if err != nil {
			t.Fatal(err)
		}
		if maps.Equal(in, last) {
			t.Errorf("%s changes nothing", what)
		}
		last = in
	}
	put("cd/user-data", "longer than it was")
	if in, err := hasher.Builder("machine", m); err != nil || maps.Equal(in, last) {
		t.Errorf("the content of a file that a wildcard names changes nothing: %v", err)
	}
	if found := schema.Files(m); !slices.Contains(found, "cd/user-data") || !slices.Contains(found, "floppy/a.txt") {
		t.Errorf("the files are %v", found)
	}
}
