package vm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"kiln"
)

// Shutdown is how a machine is ended before it is captured: docs/compat/boot-and-media.md 7. A
// builder holds it with kiln:",squash".
type Shutdown struct {
	// The command that shuts the machine down from within. Without it the machine is switched off, and
	// what it has not written is lost.
	Command string `kiln:"shutdown_command"`
	// How long the machine may take to be off, once the command has ended.
	Timeout time.Duration `kiln:"shutdown_timeout,late,default=5m"`
}

// FullShutdown is the same for builders whose machines have a power button too.
type FullShutdown struct {
	Shutdown `kiln:",squash"`
	// How long to wait after the machine is off, until its files are let go: 2s where nothing is said,
	// negative not at all.
	PostDelay time.Duration `kiln:"post_shutdown_delay,late"`
	// Do not shut the machine down: wait until it does so by itself.
	Disable bool `kiln:"disable_shutdown,late"`
	// Press the machine's power button (ACPI). This comes before disable_shutdown and shutdown_command.
	ACPI bool `kiln:"acpi_shutdown,late"`
}

// What holds where the template gives nothing.
const (
	usualTimeout   = 5 * time.Minute
	usualPostDelay = 2 * time.Second
)

// Power is what a builder tells of the machine that is to go off, and does to it.
type Power struct {
	// Off is closed when the machine is off. Where nobody tells, it is nil, and IsOff is
	// asked again and again; an error of it does not count as long as there is time.
	Off   <-chan struct{}
	IsOff func(context.Context) (bool, error)
	// Halt switches the machine off at once.
	Halt func(context.Context) error
	// Button presses the power button; nil where there is none.
	Button func(context.Context) error
}

// Check warns where the machine would be switched off.
func (s *FullShutdown) Check() error {
	if s.Command != "" {
		return nil
	}
	return kiln.Caution("shutdown_command", "A shutdown_command was not specified. Without a shutdown command, "+
		"Packer\nwill forcibly halt the virtual machine, which may result in data loss.")
}

// Run ends a machine and returns when it is off. A machine on which nothing can be run is
// waited for: it ends by itself.
func (s *Shutdown) Run(ctx context.Context, b *kiln.Build, c kiln.Communicator, p Power) error {
	w := p.watch(ctx)
	defer w.stop()
	switch {
	case c.Guest().Shell == kiln.ShellNone:
		b.Say("Waiting for shutdown...")
		return w.wait(ctx, s.timeout(), "Failed to shutdown", nil)
	case s.Command == "":
		b.Say("Halting the virtual machine...")
		return p.Halt(ctx)
	}
	b.Say("Gracefully halting virtual machine...")
	failed, err := send(ctx, b, c, s.Command, w)
	if err != nil {
		return err
	}
	return w.wait(ctx, s.timeout(), "Timeout while waiting for machine to shut down.", failed)
}

// Run ends a machine and returns when it is off and its files are let go.
func (s *FullShutdown) Run(ctx context.Context, b *kiln.Build, c kiln.Communicator, p Power) error {
	w := p.watch(ctx)
	defer w.stop()
	var failed error
	switch {
	case s.ACPI:
		b.Say("Shutting down the virtual machine via ACPI power button...")
		if err := p.Button(ctx); err != nil {
			return fmt.Errorf("Error stopping VM: %w", err)
		}
	case s.Disable:
		b.Say("Automatic shutdown disabled. Please shutdown virtual machine.")
	case s.Command == "":
		b.Say("Halting the virtual machine...")
		if err := p.Halt(ctx); err != nil {
			return fmt.Errorf("Error stopping VM: %w", err)
		}
	case c.Guest().Shell == kiln.ShellNone:
		b.Say("Gracefully halting virtual machine...")
	default:
		b.Say("Gracefully halting virtual machine...")
		var err error
		if failed, err = send(ctx, b, c, s.Command, w); err != nil {
			return err
		}
	}
	err := w.wait(ctx, s.timeout(), "Timeout while waiting for machine to shutdown.", failed)
	if err != nil {
		return err
	}
	return kiln.Sleep(ctx, cmp.Or(s.PostDelay, usualPostDelay))
}

func (s *Shutdown) timeout() time.Duration { return cmp.Or(s.Timeout, usualTimeout) }

// send runs the command in the guest, and does not wait for its end where the machine is
// off. How the command ended is no error, and may explain why the machine is not off.
func send(ctx context.Context, b *kiln.Build, c kiln.Communicator, command string, w *watch) (failed, err error) {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	out, errs := b.Output(kiln.EventOut), b.Output(kiln.EventErr)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(running, &kiln.Cmd{Command: command, Stdout: out, Stderr: errs}) }()
	select {
	case failed = <-ended:
	case <-w.off:
		cancel()
		<-ended
	}
	_, _ = out.Close(), errs.Close() // they never fail
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if _, ok := errors.AsType[*kiln.StartError](failed); ok && !w.isOff() {
		return nil, fmt.Errorf("Failed to send shutdown command: %w", failed)
	}
	return failed, nil
}

// watch looks after a machine until it is off.
type watch struct {
	off  <-chan struct{}
	stop func()
	last error // why it is not known; read when the watch has ended
}

// maxPause is how long a machine that nobody tells of may be off unnoticed.
const maxPause = 500 * time.Millisecond

func (p Power) watch(ctx context.Context) *watch {
	if p.Off != nil {
		return &watch{off: p.Off, stop: func() {}}
	}
	ctx, cancel := context.WithCancel(ctx)
	off, ended := make(chan struct{}), make(chan struct{})
	w := &watch{off: off, stop: func() { cancel(); <-ended }}
	go func() {
		defer close(ended)
		for pause := 10 * time.Millisecond; ; pause = min(2*pause, maxPause) {
			is, err := p.IsOff(ctx)
			if err == nil && is {
				close(off)
				return
			}
			if ctx.Err() == nil {
				w.last = err
			}
			if kiln.Sleep(ctx, pause) != nil {
				return
			}
		}
	}()
	return w
}

func (w *watch) isOff() bool {
	select {
	case <-w.off:
		return true
	default:
		return false
	}
}

// wait waits until the machine is off. The error begins with text, and says what is known.
func (w *watch) wait(ctx context.Context, timeout time.Duration, text string, failed error) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-w.off:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
	}
	w.stop()
	switch {
	case w.isOff():
		return nil
	case failed != nil && !errors.Is(failed, kiln.ErrConnectionLost):
		return fmt.Errorf("%s It is still on after %s, and the shutdown command did not succeed: %w",
			text, timeout, failed)
	case w.last != nil:
		return fmt.Errorf("%s Whether it is still on after %s is not known: %w", text, timeout, w.last)
	}
	return errors.New(text)
}
