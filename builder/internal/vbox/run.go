package vbox

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kiln"
	"kiln/driver/virtualbox"
	"kiln/media/bootcommand"
	"kiln/media/port"
	"kiln/vm"
)

// EnableVRDP gives the machine a port of the remote desktop.
func (m *Machine) EnableVRDP(ctx context.Context) (err error) {
	c := m.Config
	m.vrdp, err = vm.Reserve(ctx, m.Build, port.Range{
		Low: c.VRDPMin, High: c.VRDPMax, Address: c.VRDPAddress,
		For: "the remote desktop", Fields: "vrdp_port_min and vrdp_port_max",
	})
	if err != nil {
		return err
	}
	return m.do(ctx, "Error enabling VRDP", "modifyvm", m.Name, "--vrdeaddress", c.VRDPAddress,
		"--vrdeauthtype", "null", "--vrde", "on", "--vrdeport", strconv.Itoa(m.vrdp.Number))
}

const (
	ruleName   = "packercomm"
	ruleExists = "A NAT rule of this name already exists"
	ruleError  = "Error creating port forwarding rule"
)

// Forward makes a port of this machine lead to the guest.
func (m *Machine) Forward(ctx context.Context) (err error) {
	if !m.Config.forwarded() {
		return nil
	}
	if m.port, err = m.Config.Ports.Reserve(ctx, m.Build, "127.0.0.1"); err != nil {
		return err
	}
	if err := m.do(ctx, ruleError, "modifyvm", m.Name, "--nic1", "nat"); err != nil {
		return err
	}
	if m.Version.AtLeast(7, 0) {
		if err := m.do(ctx, ruleError, "modifyvm", m.Name, "--nat-localhostreachable1", "on"); err != nil {
			return err
		}
	}
	m.Build.Say("Creating forwarded port mapping for communicator (SSH, WinRM, etc) (host port %d)", m.port.Number)
	rule := fmt.Sprintf("%s,tcp,127.0.0.1,%d,,%d", ruleName, m.port.Number, m.Config.GuestPort())
	r := m.Program.Resource(m.owner, virtualbox.KindRule, m.Name, map[string]string{"rule": rule})
	return m.change(ctx, r, func() error {
		add := []string{"modifyvm", m.Name, "--natpf1", rule}
		err := m.do(ctx, ruleError, add...)
		if err == nil || !strings.Contains(err.Error(), ruleExists) {
			return err
		}
		// An earlier build has left it.
		if err := m.do(ctx, ruleError, "modifyvm", m.Name, "--natpf1", "delete", ruleName); err != nil {
			return err
		}
		return m.do(ctx, ruleError, add...)
	})
}

// Custom runs the template's own commands.
func (m *Machine) Custom(ctx context.Context, commands [][]string) error {
	if len(commands) == 0 {
		return nil
	}
	m.Build.Say("Executing custom VBoxManage commands...")
	vars := map[string]any{"Name": m.Name, "HTTPIP": guestIP, "HTTPPort": m.httpPort}
	for _, command := range commands {
		args := make([]string, len(command))
		for i, text := range command {
			var err error
			if args[i], err = m.Build.Render(text, vars); err != nil {
				return fmt.Errorf("Error preparing vboxmanage command: %w", err)
			}
		}
		m.Build.Say("Executing: %s", strings.Join(args, " "))
		if err := m.do(ctx, "Error executing command", args...); err != nil {
			return err
		}
	}
	return nil
}

// PowerOn starts the machine and types what it is told at its first start.
func (m *Machine) PowerOn(ctx context.Context) error {
	b, c := m.Build, m.Config
	b.Say("Starting the virtual machine...")
	front := "gui"
	if c.Headless {
		front = "headless"
		where := ""
		if m.vrdp != nil {
			where = fmt.Sprintf("rdp://%s:%d", c.VRDPAddress, m.vrdp.Number)
		}
		b.Say("The VM will be run headless, without a GUI. If you want to\nview the screen of the VM, connect via "+
			"VRDP without a password to\n%s", where)
	}
	power := m.Program.Resource(m.owner, virtualbox.KindPower, m.Name, nil)
	err := m.change(ctx, power, func() error {
		return m.do(ctx, "Error starting VM", "startvm", m.Name, "--type", front)
	})
	if err != nil {
		return err
	}
	b.Set("ID", m.Name)
	if err := c.Boot.WaitForBoot(ctx, b); err != nil || c.Boot.Silent() {
		return err
	}
	return c.Boot.Run(ctx, b, func(ctx context.Context, codes []string) error {
		_, err := m.Program.Run(ctx, append([]string{"controlvm", m.Name, "keyboardputscancode"}, codes...)...)
		return err
	}, bootcommand.Vars{HTTPIP: guestIP, HTTPPort: m.httpPort, Name: m.Name, SSHPublicKey: m.key.Public})
}

// Start does what all builders do alike with a machine that has its hardware.
func (m *Machine) Start(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		m.AttachISOs, m.EnableVRDP, m.AttachFloppy, m.Forward,
		func(ctx context.Context) error { return m.Custom(ctx, m.Config.VBoxManage) },
		m.PowerOn,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Connect waits until the machine lets us in, and brings it what it is told to have.
func (m *Machine) Connect(ctx context.Context) (kiln.Communicator, error) {
	t := kiln.Target{
		Host:   func(context.Context) (string, error) { return "127.0.0.1", nil },
		Up:     "machine " + m.Name,
		Keys:   m.key.Privates(),
		Public: m.key.Public,
	}
	if m.port != nil {
		t.Port = m.port.Number
	}
	waiting, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.watch(waiting, cancel)
	}()
	way, err := m.Config.Connect(waiting, m.Build, t)
	// The watch ends, and then what it knows does not change any more.
	cause := context.Cause(waiting)
	cancel(nil)
	<-ended
	if err != nil {
		if _, off := errors.AsType[*offError](cause); off {
			return nil, cause
		}
		return nil, err
	}
	m.way = way
	return way, m.uploads(ctx)
}

// offError is a machine that went off while somebody waited for it to let him in.
type offError struct{ machine, state string }

func (e *offError) Error() string {
	return fmt.Sprintf("the machine %s went off (%s) before it could be connected to", e.machine, e.state)
}

const (
	watchPause = 2 * time.Second // between looks at the machine
	offLooks   = 3               // that find it off, until it counts
)

// watch gives up waiting where the machine goes off by itself and stays so. Installers
// may switch a machine off and a script of the user's on again.
func (m *Machine) watch(ctx context.Context, giveUp context.CancelCauseFunc) {
	off := 0
	for kiln.Sleep(ctx, watchPause) == nil {
		info, err := m.Program.Info(ctx, m.Name)
		if err != nil || info.State() == "" || info.On() || !isOff[info.State()] {
			off = 0
			continue
		}
		if off++; off == offLooks {
			giveUp(&offError{m.Name, info.State()})
			return
		}
	}
}

// isOff are the states of a machine that does not run and will not by itself.
var isOff = map[string]bool{"poweroff": true, "aborted": true, "gurumeditation": true}
