// Package wire reaches a machine that is a folder of this one, as a communicator that a
// newcomer adds.
package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"kiln"
	"kiln/guest"
)

// Config is what a template may say of the wire.
type Config struct {
	// The shell at the other end.
	Shell string `kiln:"wire_shell,default=/bin/sh"`
}

// Validate refuses a shell that nobody could start.
func (c *Config) Validate() error {
	if c.Shell == "" {
		return kiln.Invalid("wire_shell", "wire_shell must not be empty")
	}
	return nil
}

// Alone says that only a builder knows where a wire leads.
func (c *Config) Alone() error {
	return kiln.Invalid("communicator", "a wire leads to machines that a builder made")
}

// Connect finds the folder.
func (c *Config) Connect(ctx context.Context, b *kiln.Build, t kiln.Target) (kiln.Communicator, error) {
	folder, err := t.Host(ctx)
	if err != nil {
		return nil, fmt.Errorf("find machine: %w", err)
	}
	b.SetAccess(kiln.Access{Type: "wire", Host: folder})
	return &Communicator{folder, c.Shell}, nil
}

// Communicator works in the folder.
type Communicator struct{ folder, shell string }

// Guest is a machine with a POSIX shell.
func (c *Communicator) Guest() kiln.Guest {
	return kiln.Guest{OS: kiln.OSUnix, Shell: kiln.ShellPOSIX}
}

// Close has nothing to close.
func (c *Communicator) Close() error { return nil }

// Run runs a command in the folder.
func (c *Communicator) Run(ctx context.Context, cmd *kiln.Cmd) error {
	sh := exec.CommandContext(ctx, c.shell, "-c", cmd.Command)
	sh.Dir, sh.Stdin, sh.Stdout, sh.Stderr = c.folder, cmd.Stdin, cmd.Stdout, cmd.Stderr
	sh.WaitDelay = time.Second
	err := sh.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &exit):
		return &kiln.ExitError{Code: exit.ExitCode()}
	}
	return err
}

// Upload copies what is sent into the folder.
func (c *Communicator) Upload(ctx context.Context, up *kiln.Upload) error {
	target := guest.Quote(up.Destination)
	if up.Content != nil {
		mode := up.Mode
		if mode == 0 {
			mode = 0o644
		}
		script := fmt.Sprintf("cat >%s && chmod %o %s", target, mode.Perm(), target)
		return c.Run(ctx, &kiln.Cmd{Command: script, Stdin: up.Content})
	}
	if _, err := os.Stat(up.Source); err != nil {
		return fmt.Errorf("%w: %w", kiln.ErrNotFound, err)
	}
	source, err := filepath.Abs(up.Source)
	if err != nil {
		return err
	}
	source = guest.Quote(source)
	if up.ContentsOnly {
		return c.Run(ctx, &kiln.Cmd{Command: fmt.Sprintf("mkdir -p %s && cp -a %s/. %s", target, source, target)})
	}
	return c.Run(ctx, &kiln.Cmd{Command: fmt.Sprintf("cp -a %s %s", source, target)})
}

// Download copies what is asked for out of the folder.
func (c *Communicator) Download(ctx context.Context, down *kiln.Download) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	source := down.Source
	if !filepath.IsAbs(source) {
		source = filepath.Join(c.folder, source)
	}
	if !down.Tree {
		f, err := os.Open(source)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", down.Source, kiln.ErrNotFound)
		}
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(down.Writer, f)
		return err
	}
	found, err := filepath.Glob(source)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%s: %w", down.Source, kiln.ErrNotFound)
	}
	if err != nil {
		return err
	}
	target, err := filepath.Abs(down.Destination)
	if err != nil {
		return err
	}
	script := "mkdir -p " + guest.Quote(target)
	for _, path := range found {
		info, err := os.Stat(path)
		if err == nil && info.IsDir() && down.ContentsOnly {
			path += "/."
		}
		script += " && cp -a " + guest.Quote(path) + " " + guest.Quote(target)
	}
	return c.Run(ctx, &kiln.Cmd{Command: script})
}
