package virtualbox

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"kiln"
	"kiln/kilntest"
)

func TestVersion(t *testing.T) {
	for out, want := range map[string]string{
		"7.0.14r161095": "7.0.14", "6.1.50_OSEr161033": "6.1.50", "7.1.0_RC1r164145": "7.1.0", "7": "7",
		"WARNING: The vboxdrv kernel module is not loaded.": "VirtualBox is not properly setup: ",
		"": "No version found: ", "v7": "No version found: v7",
	} {
		v, err := parseVersion(out)
		got := string(v)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s, want %s", out, got, want)
		}
	}
	for v, want := range map[Version]bool{"7.0.14": true, "7": true, "10.2": true, "6.1.50": false, "4.3": false} {
		if v.AtLeast(7, 0) != want {
			t.Errorf("%s is at least 7.0: %t", v, !want)
		}
	}
	if !Version("4.3.1").AtLeast(4, 3) || Version("4.2.9").AtLeast(4, 3) {
		t.Error("the minor version does not count")
	}
	for v, want := range map[Version]Version{"4.2.1": "4.2.0", "4.1.23": "4.1.22", "7.0.14": "7.0.14"} {
		if got := v.Additions(); got != want {
			t.Errorf("the additions of %s are those of %s", v, got)
		}
	}
}

const info = `name="m \"x\""
UUID="648388c2-c1fe-48b9-9ca2-2b0eb55d4ebf"
memory=512
VMState="stopping"
VMStateChangeTime="2026-11-21T21:15:08.973442279"
storagecontrollername0="IDE"
storagecontrollertype0="PIIX4"
storagecontrollername1="My floppy"
storagecontrollertype1="I82078"
"IDE-0-0"="/disks/a.vdi"
"IDE-0-1"="emptydrive"
"IDE-ImageUUID-0-0"="x"
Forwarding(0)="packercomm,tcp,127.0.0.1,2233,,22"
no line
`

func TestInfo(t *testing.T) {
	i := parseInfo(info)
	if i["name"] != `m "x"` || i.UUID() != "648388c2-c1fe-48b9-9ca2-2b0eb55d4ebf" || i["memory"] != "512" || !i.On() {
		t.Errorf("it is %v", i)
	}
	if at := i.Changed(); at.Unix() != time.Date(2026, 11, 21, 21, 15, 8, 0, time.UTC).Unix() {
		t.Errorf("its state changed at %s", at)
	}
	if c := i.Controllers(FloppyController); len(c) != 1 || c[0] != "My floppy" {
		t.Errorf("its floppy controllers are %v", c)
	}
	if got := i["IDE-0-0"]; got != "/disks/a.vdi" {
		t.Errorf("its disk is %s", got)
	}
}

const tree = `SnapshotName="base"
SnapshotUUID="1"
SnapshotName-1="child"
SnapshotUUID-1="2"
SnapshotName-2="Child"
SnapshotUUID-2="3"
SnapshotName-2-10="far"
SnapshotUUID-2-10="4"
SnapshotName-9-1="without a parent"
SnapshotUUID-9-1="5"
CurrentSnapshotName="far"
CurrentSnapshotUUID="4"
CurrentSnapshotNode="SnapshotName-2-10"
`

func TestSnapshots(t *testing.T) {
	root := parseSnapshots(tree)
	if all := root.All(); len(all) != 4 {
		t.Fatalf("there are %d", len(all))
	}
	if s := root.Present(); s == nil || s.Name != "far" || s.Parent.UUID != "3" {
		t.Errorf("the current one is %v", s)
	}
	if named := root.Named("CHILD"); len(named) != 2 {
		t.Errorf("of one name are %v", named)
	}
	if c := root.Child("Child"); c == nil || c.UUID != "3" {
		t.Errorf("the child is %v", c)
	}
	if none := parseSnapshots(noSnapshots); none != nil || none.Present() != nil || none.Child("x") != nil {
		t.Errorf("of none there is %v", none)
	}
}

func TestProperty(t *testing.T) {
	out := "API version:   7_0\nDefault machine folder:    /vms\nDefault Guest Additions ISO:     \n"
	if got := parseProperty(out, "Default machine folder"); got != "/vms" {
		t.Errorf("the folder is %q", got)
	}
	if got := parseProperty(out, "Default Guest Additions ISO"); got != "" {
		t.Errorf("the additions are %q", got)
	}
}

// program is the stand-in, with a machine m.
func program(t *testing.T) (*Program, *kilntest.VirtualBox) {
	t.Helper()
	v := kilntest.UseVirtualBox(t, "none")
	v.Manage("createvm", "--name", "m", "--register")
	p, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	return p, v
}

func TestRun(t *testing.T) {
	p, v := program(t)
	const held = "The machine is locked: code VBOX_E_INVALID_OBJECT_STATE (0x80bb0007)"
	v.Fail("2", "^modifyvm m --memory", held)
	if _, err := p.Run(t.Context(), "modifyvm", "m", "--memory", "8"); err != nil {
		t.Errorf("a machine that is locked for a moment: %v", err)
	}
	v.Fail("-1", "^modifyvm m --cpus", held)
	p.limit = time.Millisecond
	_, err := p.Run(t.Context(), "modifyvm", "m", "--cpus", "1")
	if !Locked(err) || !strings.HasPrefix(err.Error(), "retry count exhausted. Last err: VBoxManage error: ") {
		t.Errorf("a machine that stays locked: %v", err)
	}
	p.limit, p.quiet = time.Hour, time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	p.Waiting = func(string, ...any) { cancel() }
	if _, err := p.Run(ctx, "modifyvm", "m", "--cpus", "1"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while it is locked: %v", err)
	}
	if _, err := p.Run(t.Context(), "showvminfo", "absent"); !Unknown(err) {
		t.Errorf("a machine that does not exist: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	_, err = Find()
	if err == nil || err.Error() != `Failed creating VirtualBox driver: exec: "VBoxManage": executable file not found in $PATH` {
		t.Errorf("without the program: %v", err)
	}
}

// A machine is deleted only if it is the one that was made.
func TestDestroy(t *testing.T) {
	p, v := program(t)
	info, err := p.Info(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	window := func(asked time.Time) map[string]string {
		return map[string]string{"asked": asked.UTC().Format(time.RFC3339Nano), "within": "1m0s"}
	}
	for name, attrs := range map[string]map[string]string{
		"another uuid":     {"uuid": "x"},
		"made before":      window(info.Changed().Add(time.Hour)),
		"made long after":  window(info.Changed().Add(-time.Hour)),
		"nothing is known": nil,
	} {
		err := p.Destroy(t.Context(), p.Resource("o", KindMachine, "m", attrs))
		if !errors.Is(err, kiln.ErrReplaced) {
			t.Errorf("%s: %v", name, err)
		}
	}
	v.Manage("startvm", "m", "--type", "headless")
	mine := p.Resource("o", KindMachine, "m", map[string]string{"uuid": info.UUID()})
	for range 2 {
		if err := Reap(t.Context(), mine); err != nil {
			t.Error(err)
		}
	}
	if left := v.Left(); len(left) != 0 {
		t.Errorf("there is %v", left)
	}
	if err := Reap(t.Context(), p.Resource("o", "x", "m", nil)); err == nil {
		t.Error("a resource of an unknown kind is destroyed")
	}
}

func FuzzInfo(f *testing.F) {
	f.Add(info)
	f.Add(tree)
	f.Add("\"=\"\n\"a\"=\"\na=\"\\\"\n")
	f.Fuzz(func(t *testing.T, out string) {
		i := parseInfo(out)
		i.Controllers(FloppyController)
		i.Changed()
		for _, s := range parseSnapshots(out).All() {
			if s.Parent != nil && s.Parent.Child(s.Name) == nil {
				t.Errorf("%v is no child of its parent", s)
			}
		}
		_, _ = parseVersion(out)
		parseProperty(out, "Default machine folder")
	})
}
