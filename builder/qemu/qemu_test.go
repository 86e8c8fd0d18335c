package qemu

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kiln"
	"kiln/communicator/none"
	"kiln/communicator/ssh"
	"kiln/driver/qemu"
	"kiln/kilntest"
	"kiln/schema"
)

func needEmulator(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath(qemu.Program)
	kilntest.Require(t, "qemu", err)
}

// configured is a builder as a template configures it.
func configured(t *testing.T, change func(c *Builder)) *Builder {
	t.Helper()
	c := new(Builder)
	c.Offer(map[string]kiln.Connector{"none": new(none.Config), "ssh": new(ssh.Config)})
	schema.Defaults(c)
	for _, one := range c.Connectors {
		schema.Defaults(one)
	}
	change(c)
	return c
}

// brief is a builder whose machine is off after a moment.
func brief(t *testing.T) *Builder {
	c := configured(t, func(c *Builder) {
		c.ISO.URL, c.ISO.Checksum = "installer.iso", "none"
		c.Communicator, c.Headless, c.Accelerator = "none", true, "tcg"
		c.Firmware, c.Memory, c.DiskSize = "./rom", 16, "1M"
		c.Args = [][]string{{"-no-reboot"}}
		c.MoreDisks = []string{"1M"}
		c.CD.Content = map[string]string{"a": "b"}
		c.Floppy.Content = map[string]string{"a": "b"}
		c.HTTP.Content = map[string]string{"/a": "b"}
		c.VTPM, c.QMPEnable, c.VNCUsePassword = true, true, true
		c.MachineType = "q35"
		c.DiskInterface = "ide"
	})
	if err := c.Validate(); err != nil && !strings.Contains(err.Error(), "A checksum of 'none'") {
		t.Fatal(err)
	}
	return c
}

// bench is a folder to build in.
func bench(t *testing.T) string {
	t.Helper()
	needEmulator(t)
	dir, err := os.MkdirTemp("/tmp", "kq") // a test's own is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, sub := range []string{"tmp", "cache"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("TMPDIR", filepath.Join(dir, "tmp"))
	t.Setenv("PACKER_CACHE_DIR", filepath.Join(dir, "cache"))
	kilntest.ROM(t, "rom", "hello\r\n", true)
	kilntest.ROM(t, "silent", "I am up\r\n", false)
	if err := os.WriteFile("installer.iso", make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// left is what builds left in a folder, and their processes.
func left(t *testing.T, dir string) []string {
	var all []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == filepath.Join(dir, "cache") || strings.HasPrefix(d.Name(), "Test") {
			return filepath.SkipDir
		}
		if rel := strings.TrimPrefix(path, dir); !d.IsDir() && rel != "/rom" && rel != "/silent" && rel != "/installer.iso" ||
			d.IsDir() && rel != "" && rel != "/tmp" {
			all = append(all, path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(line), dir) {
			all = append(all, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return all
}

func TestConformance(t *testing.T) {
	dir := bench(t)
	kilntest.TestBuilder(t, kilntest.BuilderOptions{
		New:  func() kiln.Builder { return brief(t) },
		Left: func() []string { return left(t, dir) },
	})
}

// The machine that is brief is a whole build: this is what it gives.
func TestArtifact(t *testing.T) {
	bench(t)
	b, r := kilntest.NewBuild(t)
	c := brief(t)
	m, err := c.Start(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, err := m.Capture(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(a.Files, " "); got != "output-test/packer-test output-test/packer-test-1" {
		t.Errorf("files %s", got)
	}
	if a.Builder != "transcend.qemu" || a.ID != "VM" || a.Text != "VM files in directory: output-test" ||
		a.Labels["diskName"] != "packer-test" || a.Labels["diskType"] != "qcow2" || a.Labels["diskSize"] != "1M" ||
		a.Labels["domainType"] != "tcg" {
		t.Errorf("got %+v", a)
	}
	want := []string{
		"Retrieving ISO", "Creating floppy disk...", "Creating CD disk...", "Creating required virtual machine disks",
		"No communicator is set; skipping port forwarding setup.",
		"Looking for available port between 5900 and 6000 on 127.0.0.1",
		"Overriding default Qemu arguments with qemuargs template option...", "Starting VM, booting from CD-ROM",
		"QMP socket at: output-test/packer-test.monitor",
		"No communicator is configured -- skipping StepWaitGuestAddress",
		"Waiting for shutdown...", "Converting hard drive...",
	}
	said := strings.Join(r.Texts(kiln.EventSay), "\n")
	for _, line := range want {
		if !strings.Contains(said, line) {
			t.Errorf("it does not say %q", line)
		}
	}
	console, err := os.ReadFile(b.RunFile("test.console.log"))
	if err != nil || string(console) != "hello\r\n" {
		t.Errorf("console: %q, %v", console, err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
