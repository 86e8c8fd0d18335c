package kilntest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"

	"kiln"
)

// Local is a communicator whose machine is this one. Only commands and single
// files go through it.
type Local struct {
	PTY bool // says that it is a terminal, without being one
	// Before is called before each command; an error is Run's.
	Before func(command string) error
}

// Guest is this machine.
func (l *Local) Guest() kiln.Guest {
	return kiln.Guest{OS: kiln.OSUnix, Shell: kiln.ShellPOSIX, Terminal: l.PTY}
}

// Run runs a command with /bin/sh.
func (l *Local) Run(ctx context.Context, cmd *kiln.Cmd) error {
	if l.Before != nil {
		if err := l.Before(cmd.Command); err != nil {
			return err
		}
	}
	c := exec.CommandContext(ctx, "/bin/sh", "-c", cmd.Command)
	c.Stdin, c.Stdout, c.Stderr = cmd.Stdin, cmd.Stdout, cmd.Stderr
	endTogether(c)
	c.WaitDelay = patience // for what the shell started and left behind
	err := c.Run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &kiln.ExitError{Code: exit.ExitCode()}
	}
	return err
}

// Upload writes one file.
func (l *Local) Upload(ctx context.Context, up *kiln.Upload) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	content := up.Content
	if content == nil {
		text, err := os.ReadFile(up.Source)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	text, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	return os.WriteFile(up.Destination, text, up.Mode)
}

// Download reads one file.
func (l *Local) Download(ctx context.Context, down *kiln.Download) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	text, err := os.ReadFile(down.Source)
	if err == nil {
		_, err = down.Writer.Write(text)
	}
	return err
}

// Close does nothing.
func (l *Local) Close() error { return nil }
