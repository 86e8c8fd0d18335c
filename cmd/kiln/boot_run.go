package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kiln"
	"kiln/guest"
)

// useMachine connects to a machine and runs the scripts and the command in it.
func (p *program) useMachine(ctx context.Context, b *kiln.Build, f *bootFlags, m *booted, words []string) error {
	c, err := m.Connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if m.vm != nil {
		p.say("The machine lets %s in, %.1f s after it was switched on.", m.user, time.Since(m.vm.Begun()).Seconds())
	}
	g := &inGuest{p: p, b: b, c: c}
	for _, script := range f.scripts {
		if err := g.script(ctx, script); err != nil {
			return err
		}
	}
	if len(words) == 0 {
		return nil
	}
	return g.run(ctx, "the command", commandLine(words, c.Guest().Shell))
}

// commandLine is what the guest's shell is given: one word is a line of its language, several
// are a program and its arguments.
func commandLine(words []string, shell kiln.Shell) string {
	if len(words) == 1 || shell != kiln.ShellPOSIX {
		return strings.Join(words, " ")
	}
	var quoted []string
	for _, w := range words {
		quoted = append(quoted, guest.Quote(w))
	}
	return strings.Join(quoted, " ")
}

// inGuest runs things in a machine, whose output is the program's.
type inGuest struct {
	p *program
	b *kiln.Build
	c kiln.Communicator
}

// script brings a script to the machine and runs it.
func (g *inGuest) script(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("-script: %w", err)
	}
	path := "/tmp/kiln-" + kiln.RandomName(10) + "-" + plainName(filepath.Base(file))
	err = g.c.Upload(ctx, &kiln.Upload{
		Destination: path, Content: bytes.NewReader(text), Size: int64(len(text)), Mode: 0o755,
	})
	if err != nil {
		return fmt.Errorf("bring %s to the machine: %w", file, err)
	}
	return g.run(ctx, file, guest.QuotePath(path))
}

// plainName leaves of a file's name what needs no care on any system.
func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_') {
			return r
		}
		return '_'
	}, name)
}

// run runs a command line. One that fails is an error with its exit code.
func (g *inGuest) run(ctx context.Context, what, line string) error {
	stdout, stderr := io.Writer(g.p.out), io.Writer(g.p.errs)
	if g.p.machine {
		out, errs := g.b.Output(kiln.EventOut), g.b.Output(kiln.EventErr)
		defer out.Close()
		defer errs.Close()
		stdout, stderr = out, errs
	}
	err := g.c.Run(ctx, &kiln.Cmd{Command: line, Stdout: stdout, Stderr: stderr})
	var exit *kiln.ExitError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &exit):
		return &guestError{what: what, exit: exit}
	case err != nil:
		return fmt.Errorf("run %s: %w", what, err)
	}
	return nil
}

// guestError is a command in a machine that failed. Its exit code is the program's.
type guestError struct {
	what string
	exit *kiln.ExitError
}

func (e *guestError) Error() string {
	if e.exit.Signal != "" {
		return fmt.Sprintf("%s was ended by signal %s", e.what, e.exit.Signal)
	}
	return fmt.Sprintf("%s exited with status %d", e.what, e.exit.Code)
}
func (e *guestError) Unwrap() error { return e.exit }
