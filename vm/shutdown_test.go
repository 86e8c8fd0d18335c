package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kiln"
	"kiln/communicator/none"
	"kiln/kilntest"
)

// guest runs a function for each command.
type guest struct {
	none.Communicator
	run func(ctx context.Context, cmd *kiln.Cmd) error
}

func (g guest) Guest() kiln.Guest { return kiln.Guest{OS: kiln.OSUnix, Shell: kiln.ShellPOSIX} }
func (g guest) Run(ctx context.Context, cmd *kiln.Cmd) error {
	return g.run(ctx, cmd)
}

// machine is one that can be switched off.
type machine struct {
	off   chan struct{}
	did   []string
	asked int
}

func (m *machine) end(what string) func(context.Context) error {
	return func(context.Context) error {
		m.did = append(m.did, what)
		close(m.off)
		return nil
	}
}

func (m *machine) isOff(context.Context) (bool, error) {
	select {
	case <-m.off:
		return true, nil
	default:
		m.asked++
		return false, errors.New("not known")
	}
}

// power gives what is told of the machine: by an event, or when it is asked.
func (m *machine) power(event bool) Power {
	p := Power{Halt: m.end("halt"), Button: m.end("button")}
	if event {
		p.Off = m.off
	} else {
		p.IsOff = m.isOff
	}
	return p
}

const short, long = 30 * time.Millisecond, time.Hour

func TestShutdown(t *testing.T) {
	exit := &kiln.ExitError{Code: 3}
	for _, c := range []struct {
		name    string
		command string
		timeout time.Duration
		nothing bool // nothing can be run in the guest
		run     func(m *machine) error
		err     string // begins the error
		said    string
		did     string
	}{
		{"halts itself", "off", long, false, func(m *machine) error { close(m.off); return nil }, "",
			"Gracefully halting virtual machine...", ""},
		{"exit code", "off", long, false, func(m *machine) error { close(m.off); return exit }, "",
			"Gracefully halting virtual machine...", ""},
		{"connection lost", "off", long, false, func(m *machine) error { close(m.off); return kiln.ErrConnectionLost }, "",
			"Gracefully halting virtual machine...", ""},
		{"not started", "off", long, false, func(*machine) error { return &kiln.StartError{Err: io.EOF} },
			"Failed to send shutdown command: start command: EOF", "Gracefully halting virtual machine...", ""},
		{"ignores it", "off", short, false, func(*machine) error { return nil },
			"Timeout while waiting for machine to SHUT", "Gracefully halting virtual machine...", ""},
		{"fails", "off", short, false, func(*machine) error { return exit },
			"Timeout while waiting for machine to SHUT It is still on after 30ms, and the shutdown command did not " +
				"succeed: command exited with status 3", "Gracefully halting virtual machine...", ""},
		{"no command", "", long, false, nil, "", "Halting the virtual machine...", "halt"},
	} {
		for _, event := range []bool{true, false} {
			for _, full := range []bool{true, false} {
				// Its clock goes on when all else has come to a stop: no machine is too slow for it.
				synctest.Test(t, func(t *testing.T) {
					name := fmt.Sprintf("%s, event %v, full %v", c.name, event, full)
					m := &machine{off: make(chan struct{})}
					b, r := kilntest.NewBuild(t)
					way := guest{run: func(_ context.Context, cmd *kiln.Cmd) error {
						fmt.Fprintln(cmd.Stdout, "going down")
						return c.run(m)
					}}
					s := Shutdown{Command: c.command, Timeout: c.timeout}
					run, want := s.Run, strings.Replace(c.err, "SHUT", "shut down.", 1)
					if full {
						f := FullShutdown{Shutdown: s, PostDelay: -1}
						run, want = f.Run, strings.Replace(c.err, "SHUT", "shutdown.", 1)
					}
					err := run(t.Context(), b, way, m.power(event))
					if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
						t.Errorf("%s: %v, want %q", name, err, want)
					}
					if said := strings.Join(r.Texts(kiln.EventSay), "|"); said != c.said || strings.Join(m.did, " ") != c.did {
						t.Errorf("%s: said %q, did %v", name, said, m.did)
					}
					if out := r.Texts(kiln.EventOut); c.command != "" && !slices.Equal(out, []string{"going down"}) {
						t.Errorf("%s: it printed %q", name, out)
					}
				})
			}
		}
	}
}

// A machine that goes off takes the command with it, whose end may never be seen.
func TestOffBeforeTheCommand(t *testing.T) {
	for _, event := range []bool{true, false} {
		m := &machine{off: make(chan struct{})}
		way := guest{run: func(ctx context.Context, _ *kiln.Cmd) error {
			close(m.off)
			<-ctx.Done()
			return ctx.Err()
		}}
		b, _ := kilntest.NewBuild(t)
		if err := (&Shutdown{Command: "off"}).Run(t.Context(), b, way, m.power(event)); err != nil {
			t.Error(err)
		}
	}
}

func TestNothingCanBeRun(t *testing.T) {
	m := &machine{off: make(chan struct{})}
	b, r := kilntest.NewBuild(t)
	s := Shutdown{Command: "off", Timeout: short}
	if err := s.Run(t.Context(), b, none.Communicator{}, m.power(true)); err == nil || err.Error() != "Failed to shutdown" {
		t.Errorf("%v", err)
	}
	f := FullShutdown{Shutdown: s, PostDelay: -1}
	if err := f.Run(t.Context(), b, none.Communicator{}, m.power(false)); err == nil ||
		!strings.HasPrefix(err.Error(), "Timeout while waiting for machine to shutdown. Whether it is still on") {
		t.Errorf("%v", err)
	}
	close(m.off)
	if err := s.Run(t.Context(), b, none.Communicator{}, m.power(true)); err != nil {
		t.Errorf("%v", err)
	}
	if said := r.Texts(kiln.EventSay); !slices.Equal(said, []string{
		"Waiting for shutdown...", "Gracefully halting virtual machine...", "Waiting for shutdown..."}) {
		t.Errorf("it said %q", said)
	}
}

func TestFullShutdown(t *testing.T) {
	for _, c := range []struct {
		s         FullShutdown
		said, did string
	}{
		{FullShutdown{ACPI: true, Disable: true, Shutdown: Shutdown{Command: "off"}},
			"Shutting down the virtual machine via ACPI power button...", "button"},
		{FullShutdown{Disable: true, Shutdown: Shutdown{Command: "off"}},
			"Automatic shutdown disabled. Please shutdown virtual machine.", ""},
	} {
		m := &machine{off: make(chan struct{})}
		c.s.PostDelay = -1
		b, r := kilntest.NewBuild(t)
		go func() {
			kilntest.Eventually(t, "it says what it does", func() bool { return len(r.Texts(kiln.EventSay)) > 0 })
			if c.did == "" {
				close(m.off) // somebody does it
			}
		}()
		if err := c.s.Run(t.Context(), b, none.Communicator{}, m.power(false)); err != nil {
			t.Error(err)
		}
		if said := r.Texts(kiln.EventSay); len(said) != 1 || said[0] != c.said || strings.Join(m.did, "") != c.did {
			t.Errorf("said %q, did %v", said, m.did)
		}
	}
	if err := (&FullShutdown{ACPI: true}).Check(); err == nil || err.Error() != "A shutdown_command was not specified. "+
		"Without a shutdown command, Packer\nwill forcibly halt the virtual machine, which may result in data loss." {
		t.Errorf("%v", err)
	}
	if err := (&FullShutdown{Shutdown: Shutdown{Command: "off"}}).Check(); err != nil {
		t.Error(err)
	}
}

func TestShutdownCancelled(t *testing.T) {
	for _, event := range []bool{true, false} {
		m := &machine{off: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		way := guest{run: func(ctx context.Context, _ *kiln.Cmd) error {
			cancel()
			<-ctx.Done()
			return ctx.Err()
		}}
		b, _ := kilntest.NewBuild(t)
		if err := (&Shutdown{Command: "off"}).Run(ctx, b, way, m.power(event)); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
}
