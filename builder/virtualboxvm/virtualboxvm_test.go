package virtualboxvm

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kiln"
	"kiln/builder/internal/vbox"
	"kiln/communicator/none"
	"kiln/kilntest"
	"kiln/media/bootcommand"
	"kiln/media/cd"
	"kiln/media/floppy"
	"kiln/vm"
)

// registered makes a machine of the user's with the snapshots base, child and, beside that,
// other, on which it stands.
func registered(v *kilntest.VirtualBox) {
	disk := filepath.Join(v.Home, "user.vdi")
	for _, args := range [][]string{
		{"createvm", "--name", "users", "--ostype", "Debian_64", "--register"},
		{"createhd", "--filename", disk, "--size", "10"},
		{"storagectl", "users", "--name", "IDE", "--add", "ide"},
		{"storageattach", "users", "--storagectl", "IDE", "--port", "0", "--device", "0", "--type", "hdd", "--medium", disk},
		{"snapshot", "users", "take", "base"},
		{"snapshot", "users", "take", "child"},
		{"snapshot", "users", "restore", "base"},
		{"snapshot", "users", "take", "other"},
	} {
		v.Manage(args...)
	}
}

// still is a builder whose machine has no system and is switched off by its button.
func still(out string) *Builder {
	c := &Builder{
		Config: vbox.Config{
			Boot:          bootcommand.Config{BootWait: -1},
			Floppy:        floppy.Config{Content: map[string]string{"a": "a"}},
			CD:            cd.Config{Content: map[string]string{"b": "b"}},
			Output:        vm.OutputDirectory{Directory: out},
			Shutdown:      vm.FullShutdown{ACPI: true},
			AdditionsMode: "disable",
		},
		VMName:         "users",
		AttachSnapshot: "base",
	}
	c.Communicator = "none"
	c.Offer(map[string]kiln.Connector{"none": &none.Config{}})
	return c
}

// state is what there is to see of the machine, but for what a build may change in it.
func state(v *kilntest.VirtualBox) []string {
	text := v.Manage("showvminfo", "users", "--machinereadable")
	text = regexp.MustCompile(`(?m)^(VMStateChangeTime|vrde).*\n`).ReplaceAllString(text, "")
	return strings.Split(text, "\n")
}

// The user's machine is what it was, whenever a build ends.
func TestBuilder(t *testing.T) {
	v := kilntest.UseVirtualBox(t, "none")
	temp, dir := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("PACKER_CACHE_DIR", t.TempDir())
	registered(v)
	was := strings.Join(state(v), "\n")
	kilntest.TestBuilder(t, kilntest.BuilderOptions{
		New: func() kiln.Builder {
			c := still(filepath.Join(dir, "out"))
			if err := kilntest.Serious(c.Validate()); err != nil {
				t.Fatal(err)
			}
			return c
		},
		Left: func() []string {
			all := v.Left()
			if is := strings.Join(state(v), "\n"); is != was {
				all = append(all, "the machine is not what it was:\n"+is)
			}
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
		if strings.HasPrefix(line, "snapshot") && !strings.Contains(line, " list ") {
			commands = append(commands, uuid.ReplaceAllString(line, "UUID"))
		}
	}
	return commands, r, err
}

var uuid = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)

// snapshots lists the tree of snapshots: names, each with how deep it is.
func snapshots(v *kilntest.VirtualBox) string {
	return uuid.ReplaceAllString(v.Manage("snapshot", "users", "list"), "")
}

func TestSnapshots(t *testing.T) {
	v := kilntest.UseVirtualBox(t, "none")
	registered(v)
	// From base to a new snapshot, and back to other, in which the machine was.
	c := still(filepath.Join(t.TempDir(), "out"))
	c.AttachSnapshot, c.TargetSnapshot, c.SkipExport = "BASE", "made", true
	commands, r, err := bake(t, v, c)
	if err != nil {
		t.Fatal(err)
	}
	want := "snapshot users restore UUID\nsnapshot users take made\nsnapshot users restore UUID"
	if got := strings.Join(commands, "\n"); got != want {
		t.Errorf("the commands are\n%s", got)
	}
	said := strings.Join(r.Texts(kiln.EventSay), "\n")
	for _, text := range []string{
		"Attaching snapshot BASE on virtual machine users", "Creating snapshot made on virtual machine users",
		"Skipping export of virtual machine...", "Reverting to snapshot ",
	} {
		if !strings.Contains(said, text) {
			t.Errorf("it does not say %q:\n%s", text, said)
		}
	}
	if got := snapshots(v); !strings.Contains(got, "other (UUID: ) *") || !strings.Contains(got, "made") {
		t.Errorf("the snapshots are\n%s", got)
	}
	// Once more the name is taken: it has to be said that this one may go.
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(),
		"Target snapshot made already exists as direct child of base for VM users. Use force_delete_snapshot = true") {
		t.Errorf("a snapshot that exists: %v", err)
	}
	c.ForceDelete, c.KeepRegistered = true, true
	if commands, _, err = bake(t, v, c); err != nil {
		t.Fatal(err)
	}
	want = "snapshot users restore UUID\nsnapshot users delete UUID\nsnapshot users take made"
	if got := strings.Join(commands, "\n"); got != want {
		t.Errorf("with force_delete_snapshot and keep_registered the commands are\n%s", got)
	}
	if got := snapshots(v); !strings.Contains(got, "made (UUID: ) *") {
		t.Errorf("the snapshots are\n%s", got)
	}
}

func TestInvalid(t *testing.T) {
	v := kilntest.UseVirtualBox(t, "none")
	registered(v)
	v.Manage("createvm", "--name", "plain", "--register")
	for name, c := range map[string]struct {
		machine, attach, target string
		want                    string
	}{
		"no name":           {"", "", "", "vm_name is required"},
		"no machine":        {"absent", "", "", "Failed to load snapshots for VM absent: VBoxManage error: "},
		"the same":          {"users", "a", "a", "Attach snapshot a and target snapshot a cannot be the same"},
		"none at all":       {"plain", "a", "", "No snapshots defined on VM plain. Unable to attach to a"},
		"absent":            {"users", "a", "", "Snapshot a does not exist on VM users"},
		"the attached one":  {"users", "base", "Base", "Target snapshot Base cannot be the same as the snapshot to which the builder shall attach: base"},
		"the current one":   {"users", "", "other", "Target snapshot other cannot be the same as the snapshot"},
		"another's child":   {"users", "other", "child", "Target snapshot child already exists and is not a direct child of other"},
		"without any trace": {"users", "base", "", "No target snapshot is specified (target_snapshot empty) and no export will"},
	} {
		b := still(t.TempDir())
		b.VMName, b.AttachSnapshot, b.TargetSnapshot, b.SkipExport = c.machine, c.attach, c.target, true
		if err := b.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	v.Manage("snapshot", "users", "take", "twice")
	v.Manage("snapshot", "users", "take", "twice")
	b := still(t.TempDir())
	b.AttachSnapshot = "twice"
	if err := b.Validate(); err == nil || !strings.Contains(err.Error(), "Multiple Snapshots with name twice exist on VM users") {
		t.Errorf("two of a name: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if err := b.Validate(); err == nil || !strings.Contains(err.Error(),
		`Failed creating VirtualBox driver: exec: "VBoxManage": executable file not found in $PATH`) {
		t.Errorf("no VirtualBox: %v", err)
	}
}
