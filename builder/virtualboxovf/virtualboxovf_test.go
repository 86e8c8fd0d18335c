package virtualboxovf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kiln"
	"kiln/builder/internal/vbox"
	"kiln/communicator/none"
	"kiln/kilntest"
	"kiln/media/bootcommand"
	"kiln/media/floppy"
	"kiln/vm"
)

// appliance exports a machine with an empty disk.
func appliance(v *kilntest.VirtualBox, path string) {
	disk := filepath.Join(filepath.Dir(path), "d.vdi")
	v.Manage("createvm", "--name", "source", "--ostype", "Debian_64", "--register")
	v.Manage("createhd", "--filename", disk, "--size", "10")
	v.Manage("storagectl", "source", "--name", "IDE", "--add", "ide")
	v.Manage("storageattach", "source", "--storagectl", "IDE", "--port", "0", "--device", "0", "--type", "hdd",
		"--medium", disk)
	v.Manage("export", "source", "--output", path)
	v.Manage("unregistervm", "source", "--delete")
}

// still is a builder whose machine has no system and is switched off by its button.
func still(source, out string) *Builder {
	c := &Builder{
		Config: vbox.Config{
			Boot:          bootcommand.Config{BootWait: -1},
			Output:        vm.OutputDirectory{Directory: out},
			Shutdown:      vm.FullShutdown{ACPI: true},
			AdditionsMode: "disable",
		},
		SourcePath: source,
		VMName:     "m",
	}
	c.Communicator = "none"
	c.Offer(map[string]kiln.Connector{"none": &none.Config{}})
	return c
}

func TestBuilder(t *testing.T) {
	v := kilntest.UseVirtualBox(t, "none")
	temp, dir := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("PACKER_CACHE_DIR", t.TempDir())
	source := filepath.Join(t.TempDir(), "source.ova")
	appliance(v, source)
	kilntest.TestBuilder(t, kilntest.BuilderOptions{
		New: func() kiln.Builder {
			c := still(source, filepath.Join(dir, "out"))
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
					all = append(all, e.Name())
				}
			}
			return all
		},
	})
}

// bake runs a whole build and returns the commands that VirtualBox was given for it.
func bake(t *testing.T, v *kilntest.VirtualBox, c *Builder) ([]string, *kilntest.Recorder, error) {
	t.Helper()
	t.Setenv("PACKER_CACHE_DIR", t.TempDir())
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
	if closeErr := b.Close(t.Context()); closeErr != nil {
		t.Error(closeErr)
	}
	var commands []string
	for _, line := range v.Log() {
		if !strings.HasPrefix(line, "showvminfo") && !strings.HasPrefix(line, "list") && line != "--version" {
			commands = append(commands, line)
		}
	}
	return commands, r, err
}

// The commands stand in docs/compat/builders-local.md, O2.
func TestCommands(t *testing.T) {
	v := kilntest.UseVirtualBox(t, "none")
	dir := t.TempDir()
	source := filepath.Join(dir, "source.ovf")
	appliance(v, source)
	c := still(source, filepath.Join(dir, "out"))
	c.ImportFlags, c.ImportOpts, c.KeepRegistered = []string{"--eula-accept"}, "keepallmacs", true
	commands, r, err := bake(t, v, c)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(commands, "\n")
	for _, want := range []string{
		"import " + source + " --vsys 0 --vmname m --eula-accept --options keepallmacs\nmodifyvm m --vrdeaddress",
		"\nstartvm m --type gui\ncontrolvm m acpipowerbutton\nexport m --output " + filepath.Join(dir, "out", "m.ovf"),
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the commands have no %s:\n%s", want, all)
		}
	}
	if strings.Contains(all, "unregistervm") {
		t.Error("the machine that was to be kept is gone")
	}
	said := strings.Join(r.Texts(kiln.EventSay), "\n")
	for _, want := range []string{
		"Using ovf inplace", "Importing VM: " + source, "No ISOs to mount; continuing...",
		"Keeping virtual machine registered with VirtualBox host (keep_registered = true)",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
}

// A failed import leaves nothing, also not of its disks; a machine that has the name is
// left alone.
func TestFailures(t *testing.T) {
	v := kilntest.UseVirtualBox(t, "none")
	dir := t.TempDir()
	source := filepath.Join(dir, "source.ova")
	appliance(v, source)
	c := still(source, filepath.Join(dir, "out"))
	c.Floppy = floppy.Config{Content: map[string]string{"a": "a"}}
	v.Fail("1", "^import", "VBoxManage: error: Appliance import failed")
	if _, _, err := bake(t, v, c); err == nil || !strings.Contains(err.Error(),
		"Error importing VM: VBoxManage error: VBoxManage: error: ") {
		t.Errorf("a failed import: %v", err)
	}
	if left := v.Left(); len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
	v.Manage("createvm", "--name", "m", "--register")
	before := v.Left()
	if _, _, err := bake(t, v, c); err == nil || !strings.Contains(err.Error(), "registered already") {
		t.Errorf("a machine of the name: %v", err)
	}
	if left := v.Left(); strings.Join(left, "\n") != strings.Join(before, "\n") {
		t.Errorf("there is %v, and was %v", left, before)
	}
	c.SourcePath = filepath.Join(dir, "absent.ova")
	v.Manage("unregistervm", "m", "--delete")
	if _, _, err := bake(t, v, c); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an appliance that does not exist: %v", err)
	}
}
