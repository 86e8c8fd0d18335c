// Package virtualboxovf imports an appliance into VirtualBox, has it provisioned, and
// exports it again.
package virtualboxovf

import (
	"context"
	"errors"
	"strings"

	"kiln"
	"kiln/builder/internal/vbox"
	"kiln/driver/virtualbox"
)

// Builder makes one machine.
type Builder struct {
	vbox.Config `kiln:",squash"`

	// Path or address of the appliance: an .ovf or .ova file.
	SourcePath string `kiln:"source_path,required,origin"`
	// Checksum of an .ova file: as iso_checksum, or none.
	Checksum string `kiln:"checksum,origin"`
	// Where to put an .ova file that is downloaded; the cache by default.
	TargetPath string `kiln:"target_path,origin"`
	// Name of the machine; packer- with the build's name and the time by default.
	VMName string `kiln:"vm_name"`
	// Further arguments of the import, such as --eula-accept.
	ImportFlags []string `kiln:"import_flags"`
	// Options of the import, such as keepallmacs.
	ImportOpts string `kiln:"import_opts"`
}

// owner is how this component's resources are found again.
const owner = "builder.virtualbox-ovf"

// Validate reports all that is wrong.
func (c *Builder) Validate() error {
	errs := []error{c.Config.Check("ide")}
	if c.SourcePath == "" {
		errs = append(errs, kiln.Invalid("source_path", "source_path is required"))
	}
	return errors.Join(errs...)
}

// Start imports the machine and starts it.
func (c *Builder) Start(ctx context.Context, b *kiln.Build) (kiln.Machine, error) {
	m, err := c.Open(ctx, b, owner)
	if err != nil {
		return nil, err
	}
	m.Name = vbox.NewName(b, c.VMName)
	source := ""
	for _, step := range []func(context.Context) error{
		m.MakeOutput, m.Quiet, m.Media, m.Serve, m.Key, m.GetAdditions,
		func(ctx context.Context) error { source, err = c.source(ctx, b); return err },
		func(ctx context.Context) error { return c.bring(ctx, m, source) },
		m.Start,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// source is the path of the appliance on this machine.
func (c *Builder) source(ctx context.Context, b *kiln.Build) (string, error) {
	if strings.HasSuffix(strings.ToLower(c.SourcePath), ".ovf") {
		// Its disks lie beside it.
		b.Say("Using ovf inplace")
		return c.SourcePath, nil
	}
	return b.Fetch(ctx, kiln.Remote{
		URL: c.SourcePath, Checksum: c.Checksum, Unchecked: true, Extension: "ova", Target: c.TargetPath,
		For: "OVF/OVA",
	})
}

// bring imports the machine.
func (c *Builder) bring(ctx context.Context, m *vbox.Machine, source string) error {
	m.Build.Say("Importing VM: %s", source)
	args := append([]string{"import", source, "--vsys", "0", "--vmname", m.Name}, c.ImportFlags...)
	if c.ImportOpts != "" {
		args = append(args, "--options", c.ImportOpts)
	}
	return m.Make(ctx, virtualbox.Importing, "Error importing VM", "Deregistering and deleting imported VM...", args...)
}
