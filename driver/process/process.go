// Package process runs programs on this machine as resources of a build: each leads
// a process group of its own, carries a token in its environment that is written
// down before it starts, and ends with us.
package process

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"time"

	"kiln"
)

// Variable is the environment variable that holds a process's token, by which it
// and its children are found again.
const Variable = "KILN_PROCESS"

// A Process is a program that was started.
type Process struct {
	Resource kiln.Resource
	ctx      context.Context
	b        *kiln.Build
	done     chan struct{}
	err      error
}

// Start starts cmd, which was made with ctx, in a group of its own. The build owns it
// before it exists; when the build is closed, what carries the token is killed. When
// ctx ends, the group gets the signal of Ctrl-C, as it would at a terminal, and SIGTERM
// after half of cmd.WaitDelay, or as soon as its leader has ended; what is left after
// cmd.WaitDelay, or ten seconds where that is zero, is killed.
func Start(ctx context.Context, b *kiln.Build, cmd *exec.Cmd) (*Process, error) {
	return start(ctx, b, cmd, false)
}

// StartLasting is [Start] for a program that goes on when this process ends without
// closing the build: the journal names it, and a clean-up ends it.
func StartLasting(ctx context.Context, b *kiln.Build, cmd *exec.Cmd) (*Process, error) {
	return start(ctx, b, cmd, true)
}

func start(ctx context.Context, b *kiln.Build, cmd *exec.Cmd, lasting bool) (*Process, error) {
	if err := supported(); err != nil {
		return nil, err
	}
	token := kiln.RandomName(20)
	p := &Process{
		Resource: kiln.Resource{Kind: kiln.KindProcess, ID: token},
		ctx:      ctx,
		b:        b,
		done:     make(chan struct{}),
	}
	err := b.Own(p.Resource, func(ctx context.Context) error { return Kill(ctx, token) })
	if err != nil {
		return nil, err
	}
	cmd.Env = append(cmd.Environ(), Variable+"="+token)
	prepare(cmd, lasting)
	if cmd.WaitDelay == 0 {
		cmd.WaitDelay = 10 * time.Second
	}
	started := make(chan error)
	go func() {
		// Where a child ends with its parent, it is the thread that started it that
		// counts: this one stays until the child has ended.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, errors.Join(err, b.Forget(p.Resource))
	}
	go p.end(cmd.Process.Pid, cmd.WaitDelay/2)
	return p, nil
}

// end asks the group to end once more, when its leader has ended and others of the
// group hold its output, or after some time. What a shell started in the background
// hears no Ctrl-C.
func (p *Process) end(group int, after time.Duration) {
	select {
	case <-p.done:
		return
	case <-p.ctx.Done():
	}
	deadline := time.Now().Add(after)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		select {
		case <-p.done:
			return
		case <-time.After(pause):
		}
		if !running(group) || time.Now().After(deadline) {
			terminate(group)
			return
		}
	}
}

// Wait waits for the process and returns how it ended, as [exec.Cmd.Wait] does.
func (p *Process) Wait() error {
	<-p.done
	if p.ctx.Err() != nil {
		return errors.Join(p.err, p.b.Destroy(context.WithoutCancel(p.ctx), p.Resource))
	}
	// Children that went on in the background stay, as with Packer: some are services
	// that a script is to start.
	return errors.Join(p.err, p.b.Forget(p.Resource))
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Run starts cmd as [Start] does and waits for it.
func Run(ctx context.Context, b *kiln.Build, cmd *exec.Cmd) error {
	p, err := Start(ctx, b, cmd)
	if err != nil {
		return err
	}
	return p.Wait()
}

// killTime is how long processes may take to be gone after they were killed.
const killTime = 2 * time.Second

// Kill kills every process that carries the token, with the groups that they lead.
// That there is none is success.
func Kill(ctx context.Context, token string) error {
	if token == "" {
		return errors.New("a process without a token cannot be found")
	}
	ctx, cancel := context.WithTimeout(ctx, killTime)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		pids, err := find(token)
		if err != nil || len(pids) == 0 {
			return err
		}
		// Again until none is left: one may have made another meanwhile.
		for _, pid := range pids {
			if err := kill(pid); err != nil {
				return fmt.Errorf("kill process %d: %w", pid, err)
			}
		}
		if err := kiln.Sleep(ctx, pause); err != nil {
			return fmt.Errorf("processes %v are still there: %w", pids, err)
		}
	}
}
