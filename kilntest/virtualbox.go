package kilntest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"kiln"
)

// VirtualBox is a program that stands in for VirtualBox's, with what it knows in a folder
// of the test.
type VirtualBox struct {
	// Env are the variables that it needs, its place on the path among them.
	Env map[string]string
	// Home is the folder of what it knows.
	Home string
	// Machines is the folder in which it makes machines.
	Machines string

	t testing.TB
}

// standin is the program, which is built once in a process: one in the cache for each
// checkout, as tests of several packages run side by side and end without a word.
var standin = sync.OnceValues(func() (string, error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = "/var/tmp"
	}
	sum := sha256.Sum256(mod)
	dir := filepath.Join(cache, "kiln-test-standin", hex.EncodeToString(sum[:8]))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "VBoxManage")
	part := path + "-" + strconv.Itoa(os.Getpid())
	out, err := exec.Command("go", "build", "-o", part, "kiln/test/vboxmanage").CombinedOutput()
	if err != nil {
		return "", &buildError{string(out), err}
	}
	return path, os.Rename(part, path)
})

type buildError struct {
	out string
	err error
}

func (e *buildError) Error() string {
	return "build the stand-in of VBoxManage: " + e.err.Error() + ": " + e.out
}

// NewVirtualBox prepares one. Its machines are switched off when the test ends.
func NewVirtualBox(t testing.TB) *VirtualBox {
	t.Helper()
	program, err := standin()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	v := &VirtualBox{Home: filepath.Join(dir, "home"), Machines: filepath.Join(dir, "machines"), t: t}
	v.Env = map[string]string{
		"PATH":           filepath.Dir(program) + ":" + os.Getenv("PATH"),
		"VBOX_USER_HOME": v.Home,
		"STANDIN_LOG":    filepath.Join(dir, "log"),
		"STANDIN_FAULTS": filepath.Join(dir, "faults"),
	}
	v.Manage("setproperty", "machinefolder", v.Machines)
	t.Cleanup(func() {
		for _, name := range v.machines("runningvms") {
			v.Manage("controlvm", name, "poweroff")
		}
	})
	return v
}

// UseVirtualBox prepares one and puts it on this process's path for the test. Guest is what
// the machines are: "none", or the address of an SSH server that stands for them.
func UseVirtualBox(t *testing.T, guest string) *VirtualBox {
	t.Helper()
	v := NewVirtualBox(t)
	v.Env["STANDIN_GUEST"] = guest
	for name, value := range v.Env {
		t.Setenv(name, value)
	}
	return v
}

// Manage runs a command of it, which has to succeed, and returns what it printed.
func (v *VirtualBox) Manage(args ...string) string {
	v.t.Helper()
	cmd := exec.Command("VBoxManage", args...)
	cmd.Path = filepath.Join(filepath.SplitList(v.Env["PATH"])[0], "VBoxManage")
	cmd.Err = nil
	cmd.Env = os.Environ()
	for name, value := range v.Env {
		if name != "STANDIN_LOG" { // what tests do by themselves is not of interest
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		v.t.Fatalf("VBoxManage %s: %v: %s", strings.Join(args, " "), err, errs.String())
	}
	return string(out)
}

// machines lists machines by their names.
func (v *VirtualBox) machines(what string) (names []string) {
	for line := range strings.Lines(v.Manage("list", what)) {
		if parts := strings.Split(line, `"`); len(parts) == 3 {
			names = append(names, parts[1])
		}
	}
	return names
}

// Left lists what there is of anybody's making: machines, disks and their files.
func (v *VirtualBox) Left() []string {
	all := v.machines("vms")
	for line := range strings.Lines(v.Manage("list", "hdds")) {
		if path, ok := strings.CutPrefix(line, "Location:"); ok {
			all = append(all, "disk "+strings.TrimSpace(path))
		}
	}
	return append(all, files(v.t, v.Machines, logs)...)
}

// logs are what the program keeps beside a machine that ran.
var logs = []string{"*/alive", "*/qmp", "*/qemu.log", "*/keys", "*/serial.log"}

// Log lists the commands that were given since the last call.
func (v *VirtualBox) Log() []string {
	v.t.Helper()
	path := v.Env["STANDIN_LOG"]
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		v.t.Fatal(err)
	}
	_ = os.Remove(path) // there may be none
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// Fail makes commands fail: as often as times says, those that a pattern fits, with a text.
func (v *VirtualBox) Fail(times, pattern, text string) {
	v.t.Helper()
	f, err := os.OpenFile(v.Env["STANDIN_FAULTS"], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(times + "\t" + pattern + "\t" + text + "\n")
		f.Close()
	}
	if err != nil {
		v.t.Fatal(err)
	}
}

// Serious is what is wrong with a configuration, without what is only warned of.
func Serious(err error) error {
	var errs []error
	for _, e := range kiln.Errors(err) {
		if f, ok := errors.AsType[*kiln.FieldError](e); !ok || !f.Caution {
			errs = append(errs, e)
		}
	}
	return errors.Join(errs...)
}
