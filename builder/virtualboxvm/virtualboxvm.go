// Package virtualboxvm works on a machine that VirtualBox has already: from one of its
// snapshots or its present state, to another snapshot, and exports it. It neither makes nor
// deletes the machine.
package virtualboxvm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kiln"
	"kiln/builder/internal/vbox"
	"kiln/driver/virtualbox"
)

// Builder works on one machine.
type Builder struct {
	vbox.Config `kiln:",squash"`

	// Name of the machine.
	VMName string `kiln:"vm_name,required"`
	// The snapshot to start from; the machine's present state by default.
	AttachSnapshot string `kiln:"attach_snapshot"`
	// The snapshot to take when the machine was shut down.
	TargetSnapshot string `kiln:"target_snapshot,late"`
	// Delete a snapshot that has the name of target_snapshot and stands on the one that the build starts from.
	ForceDelete bool `kiln:"force_delete_snapshot,late"`
}

// owner is how this component's resources are found again.
const owner = "builder.virtualbox-vm"

// askTime bounds how long VirtualBox is asked for the snapshots of a machine.
const askTime = 30 * time.Second

// Validate reports all that is wrong, also with the snapshots of the machine.
func (c *Builder) Validate() error {
	errs := []error{c.Config.Check("ide")}
	if c.TargetSnapshot == "" && c.SkipExport {
		errs = append(errs, kiln.Caution("target_snapshot",
			"No target snapshot is specified (target_snapshot empty) and no export will be created "+
				"(skip_export=true).\n"+
				"You might lose all changes applied by this run, the next time you execute packer."))
	}
	if c.VMName == "" {
		return errors.Join(append(errs, kiln.Invalid("vm_name", "vm_name is required"))...)
	}
	if c.AttachSnapshot != "" && c.AttachSnapshot == c.TargetSnapshot {
		errs = append(errs, kiln.Invalid("target_snapshot",
			"Attach snapshot %s and target snapshot %s cannot be the same", c.AttachSnapshot, c.TargetSnapshot))
	}
	p, err := virtualbox.Find()
	if err != nil {
		return errors.Join(append(errs, kiln.Invalid("vm_name", "%w", err))...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	root, err := p.Snapshots(ctx, c.VMName)
	if err != nil {
		return errors.Join(append(errs,
			kiln.Invalid("vm_name", "Failed to load snapshots for VM %s: %w", c.VMName, err))...)
	}
	return errors.Join(append(errs, c.checkSnapshots(root)...)...)
}

// checkSnapshots reports what is wrong with the names of snapshots.
func (c *Builder) checkSnapshots(root *virtualbox.Snapshot) (errs []error) {
	from := root.Present()
	if c.AttachSnapshot != "" {
		named := root.Named(c.AttachSnapshot)
		wrong := func(format string, args ...any) []error {
			return append(errs, kiln.Invalid("attach_snapshot", format, args...))
		}
		switch {
		case root == nil:
			return wrong("No snapshots defined on VM %s. Unable to attach to %s", c.VMName, c.AttachSnapshot)
		case len(named) == 0:
			return wrong("Snapshot %s does not exist on VM %s", c.AttachSnapshot, c.VMName)
		case len(named) > 1:
			return wrong("Multiple Snapshots with name %s exist on VM %s", c.AttachSnapshot, c.VMName)
		}
		from = named[0]
	}
	if c.TargetSnapshot == "" || from == nil {
		return errs
	}
	wrong := func(format string, args ...any) []error {
		return append(errs, kiln.Invalid("target_snapshot", format, args...))
	}
	switch named := root.Named(c.TargetSnapshot); {
	case len(named) == 0:
	case named[0] == from:
		return wrong("Target snapshot %s cannot be the same as the snapshot to which the builder shall attach: %s",
			c.TargetSnapshot, from.Name)
	case from.Child(c.TargetSnapshot) == nil:
		return wrong("Target snapshot %s already exists and is not a direct child of %s", c.TargetSnapshot, from.Name)
	case !c.ForceDelete:
		return wrong("Target snapshot %s already exists as direct child of %s for VM %s. "+
			"Use force_delete_snapshot = true to overwrite snapshot", c.TargetSnapshot, from.Name, c.VMName)
	}
	return errs
}

// Start starts the machine, in the state of the snapshot where one is given.
func (c *Builder) Start(ctx context.Context, b *kiln.Build) (kiln.Machine, error) {
	m, err := c.Open(ctx, b, owner)
	if err != nil {
		return nil, err
	}
	m.Name, m.Users = c.VMName, true
	s := &session{Builder: c, m: m}
	m.Finish, m.End = s.take, s.goBack
	steps := []func(context.Context) error{
		m.Quiet, m.Media, s.attach, m.Serve, m.GetAdditions, m.Start,
	}
	if !c.SkipExport {
		steps = append([]func(context.Context) error{m.MakeOutput}, steps...)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// session is one build's work with the snapshots.
type session struct {
	*Builder
	m     *vbox.Machine
	back  kiln.Resource // the snapshot that the machine was in
	taken kiln.Resource // the snapshot that was taken; its ID is empty: none
}

// attach brings the machine to the state of a snapshot. When the build ends it goes back
// to the one in which it was.
func (s *session) attach(ctx context.Context) error {
	if s.AttachSnapshot == "" {
		return nil
	}
	root, err := s.m.Program.Snapshots(ctx, s.VMName)
	if err != nil {
		return fmt.Errorf("Unable to set snapshot for VM: %w", err)
	}
	if root == nil {
		return fmt.Errorf("Unable to attach snapshot on VM %s when no snapshots exist", s.VMName)
	}
	named := root.Named(s.AttachSnapshot)
	if len(named) == 0 {
		return fmt.Errorf("Snapshot %s not found on VM %s", s.AttachSnapshot, s.VMName)
	}
	if was := root.Present(); was != nil && !s.KeepRegistered {
		s.back = s.m.Program.Resource(owner, virtualbox.KindSnapshot, s.VMName, map[string]string{"snapshot": was.UUID})
		r := s.back
		err := s.m.Build.Own(r, func(ctx context.Context) error {
			s.m.Build.Say("Reverting to snapshot %s on virtual machine %s", was.UUID, s.VMName)
			return s.m.Program.Destroy(ctx, r)
		})
		if err != nil {
			return err
		}
	}
	s.m.Build.Say("Attaching snapshot %s on virtual machine %s", s.AttachSnapshot, s.VMName)
	return s.m.Do(ctx, "Unable to set snapshot for VM", []string{"snapshot", s.VMName, "restore", named[0].UUID})
}

// goBack brings the machine back to the snapshot in which it was. What was taken stays.
func (s *session) goBack(ctx context.Context) error {
	if err := s.m.Build.Forget(s.taken); err != nil {
		return err
	}
	if s.AttachSnapshot != "" && s.KeepRegistered {
		s.m.Build.Say("Keeping virtual machine state (keep_registered = true)")
	}
	if s.back.ID == "" {
		return nil
	}
	return s.m.Build.Destroy(ctx, s.back)
}

// take takes the snapshot of what was made.
func (s *session) take(ctx context.Context) error {
	b := s.m.Build
	if s.TargetSnapshot == "" {
		b.Say("No target snapshot defined...")
		return nil
	}
	on, err := s.m.Program.Running(ctx, s.VMName)
	if err != nil {
		return err
	}
	if on {
		return fmt.Errorf("VM %s is still running. Unable to create snapshot %s", s.VMName, s.TargetSnapshot)
	}
	b.Say("Creating snapshot %s on virtual machine %s", s.TargetSnapshot, s.VMName)
	root, err := s.m.Program.Snapshots(ctx, s.VMName)
	if err != nil {
		return fmt.Errorf("Failed to load snapshots for VM %s: %w", s.VMName, err)
	}
	if old := root.Present().Child(s.TargetSnapshot); old != nil {
		err := s.m.Do(ctx, fmt.Sprintf("Unable to delete snapshot %s from VM %s", s.TargetSnapshot, s.VMName),
			[]string{"snapshot", s.VMName, "delete", old.UUID})
		if err != nil {
			return err
		}
	}
	attrs := map[string]string{"name": s.TargetSnapshot, "parent": ""}
	if on := root.Present(); on != nil {
		attrs["parent"] = on.UUID
	}
	s.taken = s.m.Program.Resource(owner, virtualbox.KindTaken, s.VMName, attrs)
	err = s.m.Build.Own(s.taken, func(ctx context.Context) error { return s.m.Program.Destroy(ctx, s.taken) })
	if err != nil {
		return err
	}
	return s.m.Do(ctx, "Error creating snaphot VM", []string{"snapshot", s.VMName, "take", s.TargetSnapshot})
}
