// Package boot starts a virtual machine from disks that were captured, without changing
// them: all that the machine writes goes to an overlay, which goes when the build is
// closed. It is what proves that an image starts, and what tests of images run on.
package boot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"kiln"
	"kiln/driver/qemu"
	"kiln/media/port"
	"kiln/vm"
)

// Config is the machine that the disks are put into. What is empty is as usual.
type Config struct {
	Program       string // the emulator
	MachineType   string // such as pc
	Accelerator   string // "": what is worth using here
	CPUModel      string
	CPUs          int
	Memory        int    // MiB
	DiskInterface string // ide, virtio, virtio-scsi ...
	NetDevice     string // kind of network card
	EFI           *bool  // nil: as the first disk looks
	EFICode       string // firmware file
	EFIVars       string // what a copy of is the machine's variables
	GuestPort     int    // of the server in the guest

	// Seed is what the guest's cloud-init is given; nil: no CD.
	Seed *Seed
	// Connect is the way in.
	Connect func(context.Context, *kiln.Build, kiln.Target) (kiln.Communicator, error)
	// Keys are private keys that the guest lets in, PEM.
	Keys []string
	// Lasting: the machine goes on when this process ends.
	Lasting bool
}

// A Machine is running. It ends, and all that was made for it goes, when the build is
// closed.
type Machine struct {
	cfg   Config
	b     *kiln.Build
	dir   string // of its files
	vm    *qemu.Machine
	port  *vm.Port
	begun time.Time
}

// Address is where the guest's server is reached.
const Address = "127.0.0.1"

// network is the name of the guest's network on the command line.
const network = "user.0"

func (c *Config) fill() {
	c.Program = cmp.Or(c.Program, qemu.Program)
	c.MachineType = cmp.Or(c.MachineType, "pc")
	c.CPUs, c.Memory = cmp.Or(c.CPUs, 2), cmp.Or(c.Memory, 1024)
	c.DiskInterface, c.NetDevice = cmp.Or(c.DiskInterface, "virtio"), cmp.Or(c.NetDevice, "virtio-net")
	c.GuestPort = cmp.Or(c.GuestPort, 22)
}

// Start starts a machine from an image, and returns when the emulator runs.
func Start(ctx context.Context, b *kiln.Build, image *Image, c Config) (*Machine, error) {
	c.fill()
	m := &Machine{cfg: c, b: b}
	var err error
	if m.dir, _, err = b.TempDir("kiln-boot-"); err != nil {
		return nil, err
	}
	hardware, err := m.hardware(ctx, image)
	if err != nil {
		return nil, err
	}
	if c.Accelerator == "" {
		best, err := qemu.Accelerate(ctx, b, c.Program)
		if err != nil {
			return nil, fmt.Errorf("look for an accelerator: %w", err)
		}
		hardware.Accelerator = best.Name
		if best.Why != "" {
			b.Say("The machine is emulated (accelerator tcg), which is slow: %s", best.Why)
		}
	}
	return m, m.run(ctx, hardware)
}

// hardware makes the overlays, the CD and the copy of the variables.
func (m *Machine) hardware(ctx context.Context, image *Image) (*qemu.Hardware, error) {
	c := m.cfg
	h := &qemu.Hardware{
		Name: "kiln-boot", MachineType: c.MachineType, Accelerator: c.Accelerator, Memory: c.Memory, CPUs: c.CPUs,
		CPUModel: c.CPUModel, NetDevice: c.NetDevice, Display: "none",
		// Nothing of what the machine writes has to outlast this machine's own end.
		Disk: qemu.DiskKind{Interface: c.DiskInterface, Cache: "unsafe", Discard: "unmap", Format: "qcow2"},
	}
	for i, disk := range image.Disks {
		overlay := filepath.Join(m.dir, fmt.Sprintf("disk%d.qcow2", i))
		_, err := qemu.Img(ctx, m.b, "create", "-q", "-f", "qcow2", "-F", disk.Format, "-b", disk.File, overlay)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", disk.Name, err)
		}
		h.Disks = append(h.Disks, overlay)
	}
	if err := m.firmware(ctx, image, h); err != nil {
		return nil, err
	}
	if c.Seed != nil {
		iso, err := c.Seed.make(ctx, m.b)
		if err != nil {
			return nil, err
		}
		h.CDs = []string{iso}
	}
	return h, nil
}

// portTries is how often another port is tried, as another program may take one between
// our look and the emulator's.
const portTries = 5

// run starts the emulator.
func (m *Machine) run(ctx context.Context, h *qemu.Hardware) error {
	for try := 1; ; try++ {
		var err error
		m.port, err = vm.Reserve(ctx, m.b, port.Range{Low: firstPort, High: lastPort, Address: Address,
			For: "the way into the machine"})
		if err != nil {
			return err
		}
		h.Network = fmt.Sprintf("user,id=%s,hostfwd=tcp:%s:%d-:%d", network, Address, m.port.Number, m.cfg.GuestPort)
		m.begun = time.Now()
		m.vm, err = qemu.Start(ctx, m.b, qemu.Config{
			Program: m.cfg.Program, Switches: h.Switches(), Lasting: m.cfg.Lasting,
			Log: filepath.Join(m.dir, "qemu.log"), Console: m.Console(),
		})
		if err == nil {
			return nil
		}
		if try == portTries || !strings.Contains(err.Error(), "Could not set up host forwarding rule") {
			return fmt.Errorf("start the machine: %w", err)
		}
		if err := m.port.Release(ctx); err != nil {
			return err
		}
	}
}

// The ports that lead to guests: not those that builds look for first.
const (
	firstPort = 20022
	lastPort  = 29999
)

// Console is the file with what the guest writes to its first serial port.
func (m *Machine) Console() string { return filepath.Join(m.dir, "console.log") }

// Dir is the folder of all that was made for the machine.
func (m *Machine) Dir() string { return m.dir }

// Port is that of this machine which leads to the guest's server.
func (m *Machine) Port() int { return m.port.Number }

// Begun is when the machine was switched on.
func (m *Machine) Begun() time.Time { return m.begun }

// errEnded is an emulator that ended while it was waited for.
var errEnded = errors.New("the machine went off")

// Connect waits until the guest lets us in. Where it does not, the error shows the last
// lines of the serial console.
func (m *Machine) Connect(ctx context.Context) (kiln.Communicator, error) {
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-m.vm.Done():
			cancel(errEnded)
		case <-stop:
		}
	}()
	c, err := m.cfg.Connect(waiting, m.b, kiln.Target{
		Host: func(context.Context) (string, error) { return Address, nil },
		Port: m.port.Number,
		Up:   "machine",
		Keys: m.cfg.Keys,
	})
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case waiting.Err() != nil:
		err = errEnded
	}
	return nil, m.explain(err)
}

// consoleLines are shown of a console.
const consoleLines = 15

// explain adds what is known of a machine that did not let us in.
func (m *Machine) explain(err error) error {
	err = fmt.Errorf("%w (%s)", err, m.vm.State())
	lines, readErr := qemu.Tail(m.Console(), consoleLines)
	if readErr != nil || len(lines) == 0 {
		return fmt.Errorf("%w; nothing was written to the serial console", err)
	}
	return fmt.Errorf("%w; last lines of the serial console:\n%s", err, strings.Join(lines, "\n"))
}

// Login is the command line by which a person gets in.
func (m *Machine) Login(user, keyFile string) string {
	words := []string{"ssh", "-p", strconv.Itoa(m.Port()),
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=" + os.DevNull}
	if keyFile != "" {
		words = append(words, "-i", keyFile)
	}
	return strings.Join(append(words, user+"@"+Address), " ")
}
