package vbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"kiln"
	"kiln/communicator"
	"kiln/driver/lock"
	"kiln/driver/virtualbox"
	"kiln/vm"
)

// Machine is a machine of VirtualBox while a build has it.
type Machine struct {
	Name    string
	Program *virtualbox.Program
	Version virtualbox.Version
	Build   *kiln.Build
	Config  *Config
	// Users: the machine is not the build's. What is done to it is undone one by one.
	Users bool
	// ISO is the path of the installer, which a machine of its own interface gets; "": none.
	ISO          string
	ISOInterface string
	BundleISO    bool // leave it attached
	// Finish is what is done between the commands after the shutdown and the export; it may
	// be nil.
	Finish func(context.Context) error
	// End is what is done when all is exported, before the artifact is made; it may be nil.
	End func(context.Context) error

	owner     string
	out       *vm.Output // nil: nothing is exported
	floppy    string     // path of the image; "": none
	cd        string
	additions string
	httpPort  int
	key       communicator.Key
	port      *vm.Port // of this machine, that leads to the guest; nil: none
	vrdp      *vm.Port
	drive     string // path of the floppy disk in the machine's drive
	slots     []slot
	mine      kiln.Resource // the machine, where the build made it
	undo      []kiln.Resource
	way       kiln.Communicator
}

// Open finds VirtualBox for a build. Owner is that of the builder's resources.
func (c *Config) Open(ctx context.Context, b *kiln.Build, owner string) (*Machine, error) {
	p, err := virtualbox.Find()
	if err != nil {
		return nil, err
	}
	p.Waiting = b.Say
	version, err := p.Version(ctx)
	if err != nil {
		return nil, err
	}
	return &Machine{Program: p, Version: version, Build: b, Config: c, owner: owner}, nil
}

// NewName is the name of a machine for which the template gives none.
func NewName(b *kiln.Build, given string) string {
	if given != "" {
		return given
	}
	return "packer-" + b.Source + "-" + strconv.FormatInt(time.Now().Unix(), 10)
}

// do runs a command of VBoxManage. What the error is to begin with is in what.
func (m *Machine) do(ctx context.Context, what string, args ...string) error {
	if _, err := m.Program.Run(ctx, args...); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Do runs commands one after the other until one fails.
func (m *Machine) Do(ctx context.Context, what string, commands ...[]string) error {
	for _, args := range commands {
		if err := m.do(ctx, what, args...); err != nil {
			return err
		}
	}
	return nil
}

// Free fails early where the output folder is in the way.
func (m *Machine) Free() error { return m.Config.Output.Free(m.Build, vm.UseForce) }

// MakeOutput makes the output folder, and sees whether files can be written there.
func (m *Machine) MakeOutput(ctx context.Context) error {
	out, err := m.Config.Output.Make(ctx, m.Build, vm.UseForce)
	if err != nil {
		return err
	}
	m.out = out
	path := filepath.Join(out.Path, "_packer_perm_check")
	err = os.WriteFile(path, nil, 0o600)
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		return fmt.Errorf("Couldn't write to output directory: %w", err)
	}
	return nil
}

// OutputPath is the path of a file in the output folder.
func (m *Machine) OutputPath(name string) string { return filepath.Join(m.out.Path, name) }

// Make has a machine made that the build owns. Text is what an error of it begins with, and
// deleting what is said when it goes. It may take as long as limit says.
func (m *Machine) Make(ctx context.Context, limit time.Duration, text, deleting string, args ...string) error {
	if err := m.alone(ctx); err != nil {
		return err
	}
	_, err := m.Program.Info(ctx, m.Name)
	if err == nil {
		return fmt.Errorf("%s: a machine of the name %q is registered already: choose another vm_name, or remove it "+
			"with `VBoxManage unregistervm %[2]s --delete` if nobody needs it", text, m.Name)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	attrs := map[string]string{"asked": time.Now().UTC().Format(time.RFC3339Nano), "within": limit.String()}
	folder, err := m.Program.MachineFolder(ctx)
	if err == nil && folder != "" {
		folder = filepath.Join(folder, m.Name)
		if _, err := os.Lstat(folder); errors.Is(err, os.ErrNotExist) {
			attrs["folder"] = folder
		}
	}
	asked := m.Program.Resource(m.owner, virtualbox.KindMachine, m.Name, attrs)
	there := false
	destroy := func(r kiln.Resource) func(context.Context) error {
		return func(ctx context.Context) error {
			if there {
				m.Build.Say("%s", deleting)
			}
			return m.Program.Destroy(ctx, r)
		}
	}
	if err := m.Build.Own(asked, destroy(asked)); err != nil {
		return err
	}
	m.mine = asked
	if err := m.do(ctx, text, args...); err != nil {
		return err
	}
	there = true
	info, err := m.Program.Info(ctx, m.Name)
	if err != nil || info.UUID() == "" {
		return err // it is known by its name and its time alone
	}
	made := m.Program.Resource(m.owner, virtualbox.KindMachine, m.Name, map[string]string{"uuid": info.UUID()})
	if err := m.Build.Own(made, destroy(made)); err != nil {
		return err
	}
	m.mine = made
	return m.Build.Forget(asked)
}

// alone waits for no other build of a machine of this name, but fails where there is one.
func (m *Machine) alone(ctx context.Context) error {
	cache, err := kiln.CacheDir()
	if err != nil {
		return err
	}
	dir := filepath.Join(cache, "virtualbox")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the folder of the machine's lock: %w", err)
	}
	held := kiln.Resource{Kind: kiln.KindServer, ID: "machine-" + kiln.RandomName(10)}
	var f *os.File
	err = m.Build.Own(held, func(context.Context) error {
		if f == nil {
			return nil
		}
		return f.Close()
	})
	if err != nil {
		return err
	}
	// The lock stays where it is, and goes with this process: removing it would race.
	f, err = os.OpenFile(filepath.Join(dir, fileName(m.Program.Home+"\x00"+m.Name)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the name of the machine: %w", err)
	}
	ok, err := lock.Try(f)
	if err == nil && !ok {
		err = fmt.Errorf("Error creating VM: another build makes a machine of the name %q now: "+
			"choose another vm_name", m.Name)
	}
	return err
}

// change does something to a machine, and owns it where the machine is the user's.
func (m *Machine) change(ctx context.Context, r kiln.Resource, do func() error) error {
	if !m.Users {
		return do()
	}
	if err := m.Build.Own(r, func(ctx context.Context) error { return m.Program.Destroy(ctx, r) }); err != nil {
		return err
	}
	m.undo = append(m.undo, r)
	return do()
}

// kept says of what was done to the user's machine that it is undone, or is to stay.
func (m *Machine) kept(kind string) error {
	var errs []error
	rest := m.undo[:0]
	for _, r := range m.undo {
		if r.Kind == kind {
			errs = append(errs, m.Build.Forget(r))
			continue
		}
		rest = append(rest, r)
	}
	m.undo = rest
	return errors.Join(errs...)
}
