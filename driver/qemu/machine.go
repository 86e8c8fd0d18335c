package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"kiln"
	"kiln/driver/process"
)

// Program is the emulator where nothing else is said.
const Program = "qemu-system-x86_64"

// Config is what a machine is started with.
type Config struct {
	Program  string
	Switches Switches
	// Log is the file that gets what the program prints.
	Log string
	// Console is the file that gets what the guest writes to its first serial port, as far
	// as Switches say nothing of that port.
	Console string
	// Told is told what happens to the machine, one after the other; nil: nobody is.
	Told func(Event)
	// Lasting: the machine goes on when this process ends, until the build's journal is
	// cleaned up.
	Lasting bool
}

// A Machine is a running emulator. The build owns its process.
type Machine struct {
	// Monitor is the machine's own monitor, beside one that a template asks for; nil
	// where the program ended at once, without an error.
	Monitor *QMP
	// Console is where the serial console is kept; "" where the template has its own.
	Console string

	b    *kiln.Build
	p    *process.Process
	log  string
	args []string

	mu     sync.Mutex
	events []Event
}

// serialSwitches and serialDevices say themselves what becomes of serial ports.
var (
	serialSwitches = []string{"-serial", "-nographic", "-nodefaults", "-S", "-preconfig", "-readconfig"}
	serialDevices  = []string{"isa-serial", "pci-serial", "usb-serial", "virtconsole", "virtserialport", "sclpconsole"}
)

// consoleFree reports whether nothing is said of serial ports, so that the first one can
// be read by us without the guest seeing another machine.
func (s Switches) consoleFree() bool {
	if slices.ContainsFunc(serialSwitches, s.Has) {
		return false
	}
	for _, d := range append(s.Values("-device"), s.Values("--device")...) {
		kind, _, _ := strings.Cut(strings.TrimPrefix(d, "driver="), ",")
		if slices.Contains(serialDevices, kind) {
			return false
		}
	}
	return true
}

// monitorName is the name of our monitor's line.
const monitorName = "kiln-monitor"

// Start starts a machine and returns when the emulator has set it up: from then on it
// runs, and its screen can be connected to. One that ends before is an error with what it
// said, unless it ended as it should. The machine outlives ctx; it ends with the build.
func Start(ctx context.Context, b *kiln.Build, c Config) (*Machine, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("connection to the monitor: %w", err)
	}
	defer theirs.Close()
	m := &Machine{b: b, log: c.Log, args: c.Switches.Args()}
	if c.Console != "" && c.Switches.consoleFree() {
		m.Console = c.Console
		m.args = append(m.args, "-serial", "file:"+c.Console)
	}
	// The child's copy of the line is its first file after the standard ones.
	m.args = append(m.args, "-chardev", "socket,fd=3,id="+monitorName, "-mon", "chardev="+monitorName+",mode=control")
	if err := m.run(ctx, c, theirs); err != nil {
		ours.Close()
		return nil, err
	}
	theirs.Close() // so that the line ends with the child
	monitor, err := NewQMP(ctx, ours, func(e Event) {
		m.mu.Lock()
		m.events = append(m.events, e)
		m.mu.Unlock()
		if c.Told != nil {
			c.Told(e)
		}
	})
	if err == nil {
		m.Monitor = monitor
		return m, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	timer := time.NewTimer(killTime)
	defer timer.Stop()
	select {
	case <-m.p.Done():
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-timer.C: // it runs, and does not speak to us
		return nil, errors.Join(fmt.Errorf("%s does not answer: %w", c.Program, err), m.Kill(ctx))
	}
	if ended := m.p.Wait(); ended != nil {
		return nil, m.described(fmt.Errorf("%s: %w", filepath.Base(c.Program), ended), m.log)
	}
	return m, nil
}

// killTime is how long an emulator that is to end may take for it.
const killTime = 5 * time.Second

func (m *Machine) run(ctx context.Context, c Config, monitor *os.File) error {
	for _, path := range []string{c.Log, m.Console} {
		if path == "" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.Program, m.args...)
	cmd.ExtraFiles = []*os.File{monitor}
	if c.Log != "" {
		log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		defer log.Close() // the child has its own
		cmd.Stdout, cmd.Stderr = log, log
	}
	var err error
	start := process.Start
	if c.Lasting {
		start = process.StartLasting
	}
	m.p, err = start(context.WithoutCancel(ctx), m.b, cmd)
	return err
}

// CommandLine are the arguments that the emulator was given.
func (m *Machine) CommandLine() []string { return slices.Clone(m.args) }

// Done is closed when the emulator has ended.
func (m *Machine) Done() <-chan struct{} { return m.p.Done() }

// Running reports whether the emulator has not ended.
func (m *Machine) Running() bool {
	select {
	case <-m.p.Done():
		return false
	default:
		return true
	}
}

// Wait waits until the emulator has ended, or the context. An emulator that failed is an
// error with what it said.
func (m *Machine) Wait(ctx context.Context) error {
	select {
	case <-m.p.Done():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := m.p.Wait(); err != nil {
		return m.described(fmt.Errorf("the emulator: %w", err), m.log)
	}
	return nil
}

// Quit ends the machine at once: its disks are in order as far as the guest has written
// them. It returns when the emulator has ended.
func (m *Machine) Quit(ctx context.Context) error {
	if m.Monitor != nil && m.Running() {
		quit, cancel := context.WithTimeout(ctx, killTime)
		defer cancel()
		// It may end before it answers.
		if err := m.Monitor.Quit(quit); err == nil || !m.Running() {
			_ = m.Wait(quit)
		}
	}
	return m.Kill(ctx)
}

// Kill kills the emulator and returns when it has ended.
func (m *Machine) Kill(ctx context.Context) error {
	if err := m.b.Destroy(context.WithoutCancel(ctx), m.p.Resource); err != nil {
		return err
	}
	select {
	case <-m.p.Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Happened are the names of all events so far, oldest first.
func (m *Machine) Happened() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for _, e := range m.events {
		names = append(names, e.Name)
	}
	return names
}

// State says in a few words what became of the machine, for errors.
func (m *Machine) State() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	resets := 0
	state := "the machine runs"
	for _, e := range m.events {
		var data struct {
			Reason string `json:"reason"`
			Guest  bool   `json:"guest"`
		}
		_ = json.Unmarshal(e.Data, &data) // an event without data has none
		switch e.Name {
		case "RESET":
			if data.Guest {
				resets++
			}
		case "GUEST_PANICKED":
			return "the guest's kernel panicked"
		case "STOP":
			state = "the machine is paused"
		case "RESUME":
			state = "the machine runs"
		case "SHUTDOWN":
			state = "the machine is off (" + data.Reason + ")"
		}
	}
	if !m.Running() {
		state = "the emulator has ended"
	}
	if resets > 0 {
		state += fmt.Sprintf(", after %d restart(s)", resets)
	}
	return state
}

// Explain adds to an error what is known of a machine that did not do what it should: what
// became of it, and the last lines of its console.
func (m *Machine) Explain(err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%w (%s)", err, m.State())
	if m.Console == "" {
		return err
	}
	return m.described(err, m.Console)
}

// described adds the last lines of a file to an error.
func (m *Machine) described(err error, path string) error {
	lines, readErr := Tail(path, tailLines)
	switch {
	case path == "" || readErr != nil:
		return err
	case len(lines) == 0 && path == m.Console:
		return fmt.Errorf("%w; nothing was written to the serial console", err)
	case len(lines) == 0:
		return err
	case path == m.log:
		return fmt.Errorf("%w: %s", err, strings.Join(lines, "\n"))
	}
	return fmt.Errorf("%w; last lines of the serial console, %s:\n%s", err, path, strings.Join(lines, "\n"))
}
