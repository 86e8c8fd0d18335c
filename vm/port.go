// Package vm has what builders of virtual machines share, beside what they put beside a
// guest: ports of this machine, the folder of the disks, and the end of a machine.
package vm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"kiln"
	"kiln/driver/lock"
	"kiln/media/port"
)

// HostPorts is the port of this machine that leads into the guest: docs/compat/boot-and-media.md
// 9. A builder holds it with kiln:",squash", and calls Check in its Validate.
type HostPorts struct {
	// The lowest port of this machine that may lead to the guest's SSH or WinRM.
	Min int `kiln:"host_port_min,default=2222"`
	// The highest port of this machine that may lead to the guest's SSH or WinRM.
	Max int `kiln:"host_port_max,default=4444"`
	// Make no way from a port of this machine to the guest: connect to ssh_port or winrm_port.
	SkipNATMapping bool `kiln:"skip_nat_mapping"`
	// Old name of host_port_min, which it overrides.
	OldMin int `kiln:"ssh_host_port_min"`
	// Old name of host_port_max, which it overrides.
	OldMax int `kiln:"ssh_host_port_max"`
}

// Check reports all that is wrong. Old names are warned of where the builder says so.
func (c *HostPorts) Check(warnOld bool) error {
	var errs []error
	old := func(field, name string, value int) {
		if value != 0 && warnOld {
			errs = append(errs, kiln.Caution(field, "%s is deprecated and is being replaced by %s. Please, update "+
				"your template to use %[2]s. In future versions of Packer, inclusion of %[1]s will error your builds.",
				field, name))
		}
	}
	old("ssh_host_port_min", "host_port_min", c.OldMin)
	old("ssh_host_port_max", "host_port_max", c.OldMax)
	low, high := c.ports()
	if low > high {
		errs = append(errs, kiln.Invalid("host_port_min", "host_port_min must be less than host_port_max"))
	}
	if low < 0 {
		errs = append(errs, kiln.Invalid("host_port_min", "host_port_min must be positive"))
	}
	if max(low, high) > port.Max {
		errs = append(errs, kiln.Invalid("host_port_max", "host_port_max must be a port, at most %d, not %d",
			port.Max, max(low, high)))
	}
	return errors.Join(errs...)
}

// What holds where the template gives nothing.
const (
	usualMin = 2222
	usualMax = 4444
)

func (c *HostPorts) ports() (low, high int) {
	return cmp.Or(c.OldMin, c.Min, usualMin), cmp.Or(c.OldMax, c.Max, usualMax)
}

// Reserve finds a port that nothing listens on at an address of this machine, and keeps it
// for the build, see [Reserve].
func (c *HostPorts) Reserve(ctx context.Context, b *kiln.Build, address string) (*Port, error) {
	low, high := c.ports()
	return Reserve(ctx, b, port.Range{
		Low: low, High: high, Address: address,
		For: "the way into the machine", Fields: "host_port_min and host_port_max",
	})
}

// A Port is one that this build alone uses.
type Port struct {
	Number int
	b      *kiln.Build
	held   kiln.Resource
	file   *os.File
}

// heldWait is how long a build waits for a port that another one has: builds of installers
// take hours, and templates that allow one port only run one after the other.
const heldWait = 12 * time.Hour

// Reserve finds a port in a range that nothing listens on, and keeps it for the build until
// that ends, or Release: no other build takes it, of this process or another, of Packer's
// neither where that has the same cache folder. Whoever is to listen on it does so soon. It waits where
// another build has the last one, and fails where all are taken by others.
func Reserve(ctx context.Context, b *kiln.Build, wanted port.Range) (*Port, error) {
	cache, err := kiln.CacheDir()
	if err != nil {
		return nil, fmt.Errorf("Error finding port: %w", err)
	}
	dir := filepath.Join(cache, "port")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("Error finding port: make the folder of its lock: %w", err)
	}
	p := &Port{b: b, held: kiln.Resource{Kind: kiln.KindServer, ID: "port-" + kiln.RandomName(10)}}
	if err := b.Own(p.held, p.end); err != nil {
		return nil, err
	}
	wanted.WaitHeld = heldWait
	err = wanted.Take(ctx, b, port.Random(), func(number int) error {
		return p.take(ctx, dir, wanted.Address, number)
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("Error finding port: %w", err), b.Forget(p.held))
	}
	return p, nil
}

// take locks one port, and looks whether something listens on it.
func (p *Port) take(ctx context.Context, dir, address string, number int) error {
	// The lock stays where it is, and goes with this process: removing it would race.
	f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(number)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock port %d: %w", number, withoutKind(err))
	}
	ok, err := lock.Try(f)
	if err == nil && !ok {
		err = port.ErrHeld
	}
	if err == nil {
		err = free(ctx, address, number)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	p.Number, p.file = number, f
	return nil
}

// withoutKind keeps that a lock cannot be made from being taken for a port that may not be
// had.
func withoutKind(err error) error { return errors.New(err.Error()) }

// free fails where something listens on a port.
func free(ctx context.Context, address string, number int) error {
	l, err := port.Listen(ctx, "tcp", address, number)
	if err != nil {
		return err
	}
	return l.Close()
}

// Release gives the port back before the build ends.
func (p *Port) Release(ctx context.Context) error { return p.b.Destroy(ctx, p.held) }

func (p *Port) end(context.Context) error {
	if p.file == nil {
		return nil // none was found
	}
	f := p.file
	p.file = nil
	return f.Close()
}
