// Package docker is the way into a container, over the engine's API.
package docker

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"kiln"
	"kiln/driver/docker"
)

// Options says how commands run in a container.
type Options struct {
	User     string // of commands; "": the container's
	Terminal bool   // under a pseudo terminal
	FixOwner bool   // what is uploaded belongs to the container's user
	// Ready is called before all else: it starts a container that was only
	// made so far. May be nil.
	Ready func(ctx context.Context) error
}

// Communicator works on a container.
type Communicator struct {
	engine    *docker.Engine
	container string
	o         Options
	owner     owner
}

// New makes a communicator for a container.
func New(e *docker.Engine, container string, o Options) *Communicator {
	return &Communicator{engine: e, container: container, o: o}
}

// Guest is a container with a POSIX shell.
func (c *Communicator) Guest() kiln.Guest {
	return kiln.Guest{OS: kiln.OSUnix, Shell: kiln.ShellPOSIX, Terminal: c.o.Terminal}
}

// Switch makes another container the one to work on. Nothing may run meanwhile.
func (c *Communicator) Switch(container string) {
	c.container, c.owner = container, owner{}
}

// Close leaves the container as it is.
func (c *Communicator) Close() error { return nil }

// Run runs a command line with the container's /bin/sh.
func (c *Communicator) Run(ctx context.Context, cmd *kiln.Cmd) error {
	return c.run(ctx, cmd, c.o.User, c.o.Terminal)
}

func (c *Communicator) ready(ctx context.Context) error {
	if c.o.Ready == nil {
		return nil
	}
	return c.o.Ready(ctx)
}

func (c *Communicator) run(ctx context.Context, cmd *kiln.Cmd, user string, tty bool) error {
	if err := c.ready(ctx); err != nil {
		return &kiln.StartError{Err: err}
	}
	exec, err := c.engine.ExecCreate(ctx, c.container, client.ExecCreateOptions{
		User: user, TTY: tty, AttachStdin: cmd.Stdin != nil, AttachStdout: true, AttachStderr: true,
		Cmd: []string{"/bin/sh", "-c", "(" + cmd.Command + ")"},
	})
	if err != nil {
		return c.notStarted(ctx, err)
	}
	conn, err := c.engine.ExecAttach(ctx, exec.ID, client.ExecAttachOptions{TTY: tty})
	if err != nil {
		return c.notStarted(ctx, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() {
		c.kill(exec.ID)
		conn.Close()
	})
	defer stop()
	if cmd.Stdin != nil {
		go func() {
			_, _ = io.Copy(conn.Conn, cmd.Stdin) // the command may end before its input
			_ = conn.CloseWrite()
		}()
	}
	copyErr := output(cmd, conn.Reader, tty)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.outcome(ctx, exec.ID, copyErr)
}

func output(cmd *kiln.Cmd, r io.Reader, tty bool) error {
	stdout, stderr := cmd.Stdout, cmd.Stderr
	if stdout == nil {
		stdout = io.Discard
	}
	if stderr == nil {
		stderr = io.Discard
	}
	if tty {
		_, err := io.Copy(stdout, r)
		return err
	}
	_, err := stdcopy.StdCopy(stdout, stderr, r)
	return err
}

// notStarted tells a command that the engine refused to start from a container or
// engine that is gone. Trying again helps with neither.
func (c *Communicator) notStarted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if docker.Gone(err) {
		return fmt.Errorf("%w: %w", kiln.ErrConnectionLost, err)
	}
	state, stateErr := c.engine.ContainerInspect(ctx, c.container, client.ContainerInspectOptions{})
	if stateErr == nil && !state.Container.State.Running {
		return fmt.Errorf(
			"%w: the container is not running (%s)",
			kiln.ErrConnectionLost,
			state.Container.State.Status,
		)
	}
	return &kiln.StartError{Err: err, Final: true}
}

// outcome asks how a command ended whose output has ended.
func (c *Communicator) outcome(ctx context.Context, id string, copyErr error) error {
	pause := 2 * time.Millisecond
	for {
		state, err := c.engine.ExecInspect(ctx, id, client.ExecInspectOptions{})
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%w while the command ran: %w", kiln.ErrConnectionLost, err)
		}
		if !state.Running {
			return c.exit(ctx, state.ExitCode, copyErr)
		}
		if copyErr != nil {
			return fmt.Errorf("%w while the command ran: %w", kiln.ErrConnectionLost, copyErr)
		}
		// Its output was closed a little before its end was noticed, or long before
		// where it closed its output itself.
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		pause = min(2*pause, 100*time.Millisecond)
	}
}

func (c *Communicator) exit(ctx context.Context, code int, copyErr error) error {
	if code == 0 && copyErr == nil {
		return nil
	}
	info, err := c.engine.ContainerInspect(ctx, c.container, client.ContainerInspectOptions{})
	if err != nil || !info.Container.State.Running {
		return fmt.Errorf("%w while the command ran: the container has ended", kiln.ErrConnectionLost)
	}
	if code != 0 {
		return &kiln.ExitError{Code: code}
	}
	return fmt.Errorf("read the command's output: %w", copyErr)
}

// kill ends a command whose build was cancelled. The engine's API cannot, so this
// works where the engine is on this machine; elsewhere the container's end is the
// command's.
func (c *Communicator) kill(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	state, err := c.engine.ExecInspect(ctx, id, client.ExecInspectOptions{})
	if err != nil || !state.Running || state.PID <= 1 {
		return
	}
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", state.PID))
	if err != nil || !strings.Contains(string(groups), state.ContainerID) {
		return // another machine's number
	}
	killGroup(state.PID)
}
