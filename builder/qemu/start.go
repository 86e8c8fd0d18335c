package qemu

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"

	"kiln"
	"kiln/driver/qemu"
	"kiln/vm"
)

// Start makes the disks, starts the machine and types at it.
func (c *Builder) Start(ctx context.Context, b *kiln.Build) (kiln.Machine, error) {
	m := &machine{cfg: c, b: b, name: c.Name, begun: make(chan struct{})}
	if m.name == "" {
		m.name = "packer-" + b.Source
	}
	if c.VNCUsePassword {
		m.password = cmp.Or(c.VNCPassword, kiln.RandomName(passwordSize))
	}
	for _, step := range []func(context.Context) error{m.look, m.gather, m.findLayer} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	var err error
	if m.last, err = m.lastThere(); err != nil {
		return nil, fmt.Errorf("look for what was made last: %w", err)
	}
	if m.last != nil {
		b.Say("Nothing changed since the last build: its disk is kept")
		return m, nil
	}
	if err := m.makeOutput(ctx); err != nil {
		return nil, err
	}
	if m.holdable() {
		if err := m.makeWork(ctx); err != nil {
			return nil, err
		}
	}
	if m.chain.on != nil && m.chain.on.Off {
		return m, nil // nothing may have to run in it
	}
	return m, m.bringUp(ctx)
}

// bringUp makes what the machine needs, starts it and types at it.
func (m *machine) bringUp(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		m.startTPM, m.makeDisks, m.serve, m.findPorts, m.copyEFIVars, m.run, m.typeAt,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// look fails early where something is missing that is needed later.
func (m *machine) look(context.Context) error {
	for _, program := range []string{m.cfg.Binary, "qemu-img"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("Failed creating Qemu driver: %w", err)
		}
	}
	if m.cfg.VTPM {
		if _, err := exec.LookPath("swtpm"); err != nil {
			return fmt.Errorf("failed to locate swtpm (%w), this is required for vTPM support", err)
		}
	}
	for field, path := range map[string]string{
		"firmware": m.cfg.Firmware, "efi_firmware_code": m.cfg.EFICode, "efi_firmware_vars": m.cfg.EFIVars,
	} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil && strings.ContainsRune(path, os.PathSeparator) {
			return kiln.Invalid(field, "%s cannot be used: %w", field, err)
		}
	}
	return m.cfg.Output.Free(m.b, vm.MustNotExist)
}

// gather brings together what the machine is made of; what can be done side by side is.
func (m *machine) gather(ctx context.Context) error {
	return together(ctx,
		func(ctx context.Context) (err error) {
			if m.cfg.SkipCache {
				m.iso, err = m.streamed(ctx)
			} else {
				m.iso, err = m.cfg.ISO.Get(ctx, m.b)
			}
			return err
		},
		func(ctx context.Context) (err error) {
			if m.floppy, err = m.cfg.Floppy.Make(ctx, m.b); err == nil {
				m.cd, err = m.cfg.CD.Make(ctx, m.b)
			}
			return err
		},
		m.accelerate,
	)
}

// accelerate chooses how instructions are run, and says why it is slow.
func (m *machine) accelerate(ctx context.Context) error {
	m.accelerator = m.cfg.Accelerator
	if m.accelerator != "" {
		return nil
	}
	best, err := qemu.Accelerate(ctx, m.b, m.cfg.Binary)
	if err != nil {
		return fmt.Errorf("look for an accelerator: %w", err)
	}
	m.accelerator = best.Name
	if best.Why != "" {
		m.b.Say("The machine is emulated (accelerator tcg), which is slow: %s", best.Why)
	}
	return nil
}

// together does things side by side. Where one fails the others are ended.
func together(ctx context.Context, all ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(all))
	var first error
	var once sync.Once
	var wait sync.WaitGroup
	for i, do := range all {
		wait.Go(func() {
			if errs[i] = do(ctx); errs[i] != nil {
				once.Do(func() { first = errs[i] })
				cancel()
			}
		})
	}
	wait.Wait()
	return first
}

func (m *machine) makeOutput(ctx context.Context) (err error) {
	m.output, err = m.cfg.Output.Make(ctx, m.b, vm.MustNotExist)
	return err
}

func (m *machine) startTPM(ctx context.Context) (err error) {
	if m.cfg.VTPM {
		m.tpm, err = qemu.StartTPM(ctx, m.b, m.cfg.UseTPM1)
	}
	return err
}

// hostIP is the address of this machine in the guest's own network.
const hostIP = "10.0.2.2"

// serve starts the HTTP server, at the address by which the guest knows this machine.
func (m *machine) serve(ctx context.Context) (err error) {
	m.httpIP = hostIP
	if m.cfg.NetBridge != "" {
		if m.httpIP, err = bridgeIP(m.cfg.NetBridge); err != nil {
			return err
		}
	}
	m.httpPort, err = m.cfg.HTTP.Start(ctx, m.b, m.httpIP)
	return err
}

// findPorts finds the port that leads into the guest and that of the screen, and the key
// that the guest may let in.
func (m *machine) findPorts(ctx context.Context) (err error) {
	m.guestPort = m.cfg.GuestPort()
	switch {
	case m.guestPort == 0:
		m.b.Say("No communicator is set; skipping port forwarding setup.")
	case m.cfg.NetBridge != "":
		m.b.Say("net_bridge is set; skipping port forwarding setup.")
	case m.cfg.Ports.SkipNATMapping:
		m.hostPort = m.guestPort
	default:
		if m.forwarded, err = m.cfg.Ports.Reserve(ctx, m.b, m.cfg.VNCAddress); err != nil {
			return err
		}
		m.hostPort = m.forwarded.Number
		m.b.Say("Found port for communicator (SSH, WinRM, etc): %d.", m.hostPort)
	}
	if err := m.makeKey(); err != nil {
		return err
	}
	m.b.Say("Looking for available port between %d and %d on %s", m.cfg.VNCPortMin, m.cfg.VNCPortMax,
		m.cfg.VNCAddress)
	m.screen, err = vm.Reserve(ctx, m.b, m.screens())
	return err
}

// wishes is a connector that knows what key a template wants to be made.
type wishes interface {
	TemporaryKey() (kind string, bits int, name string, clear bool)
}

// makeKey makes the key that the boot command may tell the guest of.
func (m *machine) makeKey() (err error) {
	if m.cfg.Communicator != "ssh" {
		return nil
	}
	if m.cfg.Login().KeyFile {
		m.b.Say("Using existing SSH private key")
		m.key, err = m.cfg.FileKey()
		return err
	}
	kind, bits, name := "", 0, ""
	if w, ok := m.cfg.Connectors[m.cfg.Communicator].(wishes); ok {
		kind, bits, name, m.clearKey = w.TemporaryKey()
	}
	kind = cmp.Or(kind, "ed25519")
	m.b.Say("Creating temporary %s SSH key for instance...", strings.ToUpper(kind))
	if m.key, err = m.cfg.NewKey(m.b, kind, bits, name); err != nil {
		return fmt.Errorf("Error creating temporary SSH key: %w", err)
	}
	return nil
}

// samePort is what an emulator says that finds a port taken.
var samePort = []string{"Could not set up host forwarding rule", "Address already in use"}

// portTries is how often other ports are tried, as what is no build of ours may take one
// between our look and the emulator's.
const portTries = 5

// run starts the emulator, with other ports where some are taken meanwhile.
func (m *machine) run(ctx context.Context) error {
	for try := 1; ; try++ {
		err := m.runOnce(ctx)
		taken := err != nil && (strings.Contains(err.Error(), samePort[0]) || strings.Contains(err.Error(), samePort[1]))
		if !taken || try == portTries || m.forwarded == nil && m.cfg.VNCPortMin == m.cfg.VNCPortMax {
			return err
		}
		m.b.Say("A port was taken by another program meanwhile: %v", err)
		errs := m.screen.Release(ctx)
		if m.forwarded != nil {
			errs = errors.Join(errs, m.forwarded.Release(ctx))
		}
		if errs != nil {
			return errs
		}
		if m.screen, err = vm.Reserve(ctx, m.b, m.screens()); err != nil {
			return err
		}
		if m.forwarded != nil {
			if m.forwarded, err = m.cfg.Ports.Reserve(ctx, m.b, m.cfg.VNCAddress); err != nil {
				return err
			}
			m.hostPort = m.forwarded.Number
			m.b.Say("Found port for communicator (SSH, WinRM, etc): %d.", m.hostPort)
		}
	}
}

func (m *machine) runOnce(ctx context.Context) error {
	switches, err := m.commandLine()
	if err != nil {
		return err
	}
	m.announce()
	m.vm, err = qemu.Start(ctx, m.b, qemu.Config{
		Program: m.cfg.Binary, Switches: switches, Told: m.told,
		Log: m.b.RunFile(fileName(m.b.Name) + ".qemu.log"), Console: m.b.RunFile(fileName(m.b.Name) + ".console.log"),
	})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("Error launching VM: Qemu failed to start: %w", err)
	}
	close(m.begun)
	return m.monitor(ctx)
}

// fileName is a build's name as that of a file.
func fileName(build string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) || r < ' ' {
			return '_'
		}
		return r
	}, build)
}
