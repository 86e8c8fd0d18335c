package virtualbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"kiln"
)

// Kinds of resource. The attribute home of each is where VirtualBox keeps what it knows.
const (
	// KindMachine is a machine by its name; the attribute uuid tells it from another. One
	// without is about to be made since the time in the attribute asked; folder is what will
	// be its folder then, and does not exist yet.
	KindMachine = "machine"
	// KindDisk is the file of a disk that no machine has yet.
	KindDisk = "disk"
	// KindPower is a machine of the user's that was started; by its UUID, as all below.
	KindPower = "power"
	// KindSlot is what was put into a slot of such a machine: the attributes controller,
	// port, device and medium. Where remove is set the controller was made too.
	KindSlot = "slot"
	// KindRule is a rule of the NAT of its first card, in the attribute rule.
	KindRule = "rule"
	// KindSnapshot is the snapshot, in the attribute snapshot, to which it goes back.
	KindSnapshot = "snapshot-to-restore"
	// KindTaken is a snapshot that is taken: the attributes name and parent, a UUID or empty.
	KindTaken = "snapshot"
)

// Resource is a resource of a builder that owner names.
func (p *Program) Resource(owner, kind, id string, attrs map[string]string) kiln.Resource {
	r := kiln.Resource{Owner: owner, Kind: kind, ID: id, Attrs: attrs}
	if p.Home != "" {
		if r.Attrs == nil {
			r.Attrs = map[string]string{}
		}
		r.Attrs["home"] = p.Home
	}
	return r
}

// Reap destroys a resource that another process made. What is there no more is success.
func Reap(ctx context.Context, r kiln.Resource) error {
	p, err := Find()
	if err != nil {
		return err
	}
	p.Home = r.Attrs["home"]
	return p.Destroy(ctx, r)
}

// Destroy destroys a resource.
func (p *Program) Destroy(ctx context.Context, r kiln.Resource) error {
	switch r.Kind {
	case KindMachine:
		return p.unregister(ctx, r)
	case KindDisk:
		return p.removeDisk(ctx, r)
	case KindPower:
		return gone(p.PowerOff(ctx, r.ID))
	case KindSlot:
		return gone(p.empty(ctx, r))
	case KindRule:
		return gone(p.removeRule(ctx, r.ID, r.Attrs["rule"]))
	case KindSnapshot:
		return gone(p.restore(ctx, r))
	case KindTaken:
		return gone(p.removeTaken(ctx, r))
	}
	return fmt.Errorf("unknown kind of resource of VirtualBox %q", r.Kind)
}

// gone makes success of it that there is no such machine.
func gone(err error) error {
	if Unknown(err) {
		return nil
	}
	return err
}

// Making bounds how long after it was asked for a machine appears. What appears later is
// another's.
const (
	Creating  = time.Minute
	Importing = time.Hour
)

// unregister deletes a machine with its disks, if it is the one that was made.
func (p *Program) unregister(ctx context.Context, r kiln.Resource) error {
	info, err := p.Info(ctx, r.ID)
	if Unknown(err) {
		return removeUnregistered(r)
	}
	if err != nil {
		return err
	}
	if uuid := r.Attrs["uuid"]; uuid != "" {
		if info.UUID() != uuid {
			return kiln.ErrReplaced
		}
	} else if !within(r, info.Changed()) {
		return kiln.ErrReplaced
	}
	if err := p.powerOff(ctx, r.ID, info); err != nil {
		return err
	}
	if _, err := p.Run(ctx, "unregistervm", r.ID, "--delete"); err != nil && !Unknown(err) {
		return err
	}
	return nil
}

// within reports whether something came to be when a resource was about to be made.
func within(r kiln.Resource, at time.Time) bool {
	asked, err := time.Parse(time.RFC3339Nano, r.Attrs["asked"])
	limit, limitErr := time.ParseDuration(r.Attrs["within"])
	if err != nil || limitErr != nil || at.IsZero() {
		return false
	}
	// Clocks of file systems are coarse.
	return at.After(asked.Add(-time.Second)) && at.Before(asked.Add(limit))
}

// removeUnregistered removes the folder of a machine that was not made completely.
func removeUnregistered(r kiln.Resource) error {
	folder := r.Attrs["folder"]
	if folder == "" || !filepath.IsAbs(folder) || filepath.Base(folder) != r.ID {
		return nil
	}
	made := true
	err := filepath.Walk(folder, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() && !(within(r, info.ModTime()) && machineFile.MatchString(path)) {
			made = false
		}
		return err
	})
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil || !made {
		return err
	}
	return os.RemoveAll(folder)
}

// machineFile is a file that belongs to a machine.
var machineFile = regexp.MustCompile(`(?i)\.(vbox|vbox-prev|vbox-tmp|vdi|vmdk|vhd|nvram|log)$`)

// removeDisk closes the file of a disk, and removes it.
func (p *Program) removeDisk(ctx context.Context, r kiln.Resource) error {
	if _, err := p.Run(ctx, "closemedium", "disk", r.ID, "--delete"); err != nil {
		if _, ok := errors.AsType[*Error](err); !ok {
			return err
		}
		// It was not registered yet: then there is the file at most.
		if strings.Contains(err.Error(), "VBOX_E_OBJECT_IN_USE") {
			return nil // its machine takes it along
		}
	}
	if err := os.Remove(r.ID); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// PowerOff switches a machine off, if it is on, and returns when it is.
func (p *Program) PowerOff(ctx context.Context, machine string) error {
	info, err := p.Info(ctx, machine)
	if err != nil {
		return err
	}
	return p.powerOff(ctx, machine, info)
}

// offTime is how long a machine may take to be off when it was switched off.
const offTime = time.Minute

func (p *Program) powerOff(ctx context.Context, machine string, info Info) error {
	if !info.On() {
		return nil
	}
	_, offErr := p.Run(ctx, "controlvm", machine, "poweroff")
	ctx, cancel := context.WithTimeout(ctx, offTime)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		on, err := p.Running(ctx, machine)
		if err == nil && !on {
			return nil
		}
		if err := kiln.Sleep(ctx, pause); err != nil {
			return errors.Join(offErr, fmt.Errorf("the machine %s is still on: %w", machine, err))
		}
	}
}

// empty takes out of a slot what was put there, and the controller where that was made.
func (p *Program) empty(ctx context.Context, r kiln.Resource) error {
	info, err := p.Info(ctx, r.ID)
	if err != nil {
		return err
	}
	a := r.Attrs
	at := a["controller"] + "-" + a["port"] + "-" + a["device"]
	switch in := info[at]; {
	case in == a["medium"]:
		_, err = p.Run(ctx, "storageattach", r.ID, "--storagectl", a["controller"], "--port", a["port"],
			"--device", a["device"], "--medium", "none")
	case in != "" && in != "none":
		return kiln.ErrReplaced
	}
	if err != nil || a["remove"] == "" {
		return err
	}
	for _, name := range info.Controllers(FloppyController) {
		if name == a["controller"] {
			_, err = p.Run(ctx, "storagectl", r.ID, "--name", name, "--remove")
		}
	}
	return err
}

// FloppyController is the type of controllers of floppy drives.
const FloppyController = "I82078"

func (p *Program) removeRule(ctx context.Context, machine, rule string) error {
	info, err := p.Info(ctx, machine)
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(rule, ",")
	for key, value := range info {
		if strings.HasPrefix(key, "Forwarding(") && value == rule {
			_, err = p.Run(ctx, "modifyvm", machine, "--natpf1", "delete", name)
		}
	}
	return err
}

// restore brings a machine back to a snapshot, if that is still there.
func (p *Program) restore(ctx context.Context, r kiln.Resource) error {
	root, err := p.Snapshots(ctx, r.ID)
	if err != nil {
		return err
	}
	for _, s := range root.All() {
		if s.UUID == r.Attrs["snapshot"] {
			_, err := p.Run(ctx, "snapshot", r.ID, "restore", s.UUID)
			return err
		}
	}
	return nil
}

// removeTaken deletes a snapshot that stands on the one on which it was taken.
func (p *Program) removeTaken(ctx context.Context, r kiln.Resource) error {
	root, err := p.Snapshots(ctx, r.ID)
	if err != nil {
		return err
	}
	for _, s := range root.All() {
		on := ""
		if s.Parent != nil {
			on = s.Parent.UUID
		}
		if s.Name == r.Attrs["name"] && on == r.Attrs["parent"] {
			_, err := p.Run(ctx, "snapshot", r.ID, "delete", s.UUID)
			return err
		}
	}
	return nil
}
