package vbox

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"kiln"
	"kiln/driver/virtualbox"
	"kiln/vm"
)

// builderID is what post-processors know the artifact by.
const builderID = "mitchellh.virtualbox"

// Capture shuts the machine down and exports it.
func (m *Machine) Capture(ctx context.Context) (*kiln.Artifact, error) {
	for _, step := range []func(context.Context) error{
		m.forgetKey, m.shutDown, m.removeDevices,
		func(ctx context.Context) error { return m.Custom(ctx, m.Config.VBoxManagePost) },
		m.finish, m.export, m.cleanUp,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	if m.out == nil {
		return nil, nil
	}
	files, all, err := m.out.Release()
	if err != nil {
		return nil, err
	}
	return &kiln.Artifact{
		Builder: builderID, ID: "VM", Text: "VM files in directory: " + m.out.Path,
		Files: files, Resources: all,
	}, nil
}

func (m *Machine) forgetKey(ctx context.Context) error { return m.key.Forget(ctx, m.Build, m.way) }

// shutDown ends the machine, and returns when it is off.
func (m *Machine) shutDown(ctx context.Context) error {
	s := m.Config.Shutdown
	if s.PostDelay == 0 {
		// The delay gives VirtualBox time to let go of the machine. Each command waits for
		// that by itself.
		s.PostDelay = -1
	}
	err := s.Run(ctx, m.Build, m.way, vm.Power{
		IsOff: func(ctx context.Context) (bool, error) {
			on, err := m.Program.Running(ctx, m.Name)
			return !on, err
		},
		Halt: func(ctx context.Context) error { return m.command(ctx, "controlvm", m.Name, "poweroff") },
		Button: func(ctx context.Context) error {
			return m.command(ctx, "controlvm", m.Name, "acpipowerbutton")
		},
	})
	if err != nil {
		return err
	}
	return m.kept(virtualbox.KindPower)
}

// command runs a command whose error others name.
func (m *Machine) command(ctx context.Context, args ...string) error {
	_, err := m.Program.Run(ctx, args...)
	return err
}

func (m *Machine) finish(ctx context.Context) error {
	if m.Finish == nil {
		return nil
	}
	return m.Finish(ctx)
}

// export exports the machine into the output folder.
func (m *Machine) export(ctx context.Context) error {
	b, c := m.Build, m.Config
	if c.SkipExport {
		b.Say("Skipping export of virtual machine...")
		return m.kept(virtualbox.KindRule)
	}
	b.Say("Preparing to export machine...")
	if m.port != nil {
		b.Say("Deleting forwarded port mapping for the communicator (SSH, WinRM, etc) (host port %d)", m.port.Number)
		err := m.do(ctx, "Error deleting port forwarding rule", "modifyvm", m.Name, "--natpf1", "delete", ruleName)
		if err != nil {
			return err
		}
		if err := m.kept(virtualbox.KindRule); err != nil {
			return err
		}
	}
	name := c.OutputFilename
	if name == "" {
		name = m.Name
	}
	args := append([]string{"export", m.Name, "--output", m.OutputPath(name + "." + c.Format)}, c.ExportOpts...)
	if slices.Contains(c.ExportOpts, "--iso") || slices.Contains(c.ExportOpts, "-I") {
		args = append(args, "--iso")
	}
	b.Say("Exporting virtual machine...")
	b.Say("Executing: %s", strings.Join(args, " "))
	return m.do(ctx, "Error exporting virtual machine", args...)
}

// cleanUp takes the machine down, so that the output folder holds what stays.
func (m *Machine) cleanUp(ctx context.Context) error {
	b := m.Build
	b.Say("Cleaning up floppy disk...")
	if m.End != nil {
		if err := m.End(ctx); err != nil {
			return err
		}
	}
	// What is still attached goes, also from a machine that stays.
	if err := m.detach(ctx, func(slot) bool { return m.Config.KeepRegistered || m.Users }); err != nil {
		b.Warn("%v", err)
	}
	switch {
	case m.Users:
		return nil
	case m.Config.KeepRegistered:
		b.Say("Keeping virtual machine registered with VirtualBox host (keep_registered = true)")
		return b.Forget(m.mine)
	}
	if err := b.Destroy(ctx, m.mine); err != nil {
		if ctx.Err() != nil {
			return err
		}
		b.Error("%s", fmt.Errorf("Error deleting VM: %w; the command cleanup tries again", err))
	}
	return nil
}

// Reap destroys a resource of any of the builders.
func (c *Config) Reap(ctx context.Context, r kiln.Resource) error { return virtualbox.Reap(ctx, r) }

// Owned finds nothing: each resource is written down before it is made.
func (c *Config) Owned(context.Context, string, kiln.Resource) ([]kiln.Resource, error) {
	return nil, nil
}
