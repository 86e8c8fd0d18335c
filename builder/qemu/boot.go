package qemu

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"kiln"
	"kiln/vm/boot"
)

// bootUser is who is let in where nothing says by whom and how to log in.
const bootUser = "kiln"

// BootFrom starts a machine from the disks of an artifact, on overlays. Where the template gives
// neither a password nor a key, cloud-init in the guest is told of a key that is made for
// this machine.
func (c *Builder) BootFrom(ctx context.Context, b *kiln.Build, from *kiln.Artifact) (kiln.Booted, error) {
	if len(from.Files) == 0 {
		return nil, fmt.Errorf("%w: %s has no disk on this machine", kiln.ErrInvalid, from)
	}
	image, err := boot.Find(ctx, b, from.Files...)
	if errors.Is(err, boot.ErrNoDisk) {
		return nil, fmt.Errorf("%w: %w", kiln.ErrInvalid, err)
	}
	if err != nil {
		return nil, err
	}
	way := c.Config
	way.Communicator = cmp.Or(way.Communicator, "ssh")
	cfg := boot.Config{
		Program: c.Binary, MachineType: c.MachineType, Accelerator: c.Accelerator, CPUModel: c.CPUModel, CPUs: c.CPUs,
		Memory: c.Memory, DiskInterface: c.DiskInterface, NetDevice: c.NetDevice, GuestPort: way.GuestPort(),
		Connect: way.Connect, Seed: &boot.Seed{Instance: "kiln-" + b.Run},
	}
	if c.EFI {
		cfg.EFI, cfg.EFICode, cfg.EFIVars = &c.EFI, c.EFICode, c.EFIVars
		if image.EFIVars != "" {
			cfg.EFIVars = image.EFIVars
		}
	}
	if login := c.Login(); way.Communicator == "ssh" && !login.Password && !login.KeyFile && !login.Agent {
		key, err := c.NewKey(b, "", 0, "")
		if err != nil {
			return nil, fmt.Errorf("make a key for the machine: %w", err)
		}
		cfg.Keys, cfg.Seed.Key, cfg.Seed.User = key.Privates(), key.Public, c.user()
	}
	return boot.Start(ctx, b, image, cfg)
}

// user is who logs in.
func (c *Builder) user() string {
	if named, ok := c.Connectors[c.Communicator].(interface{ User() string }); ok && named.User() != "" {
		return named.User()
	}
	return bootUser
}
