// Package wire reaches a machine that is a folder of this one, as a communicator that a
// newcomer adds.
package wire

import (
	"bytes"
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
	"kiln/guest/tree"
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
	sh.WaitDelay = 10 * time.Second
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

// Upload sends a file or a tree to the shell, which brings it to its place.
func (c *Communicator) Upload(ctx context.Context, up *kiln.Upload) error {
	p := guest.NewPlacing(up.Destination)
	if up.Content == nil {
		info, err := os.Stat(up.Source)
		if err != nil {
			return fmt.Errorf("%w: %w", kiln.ErrNotFound, err)
		}
		if info.IsDir() {
			name, mode := "", fs.FileMode(0)
			if !up.ContentsOnly {
				name, mode = filepath.Base(up.Source), info.Mode()
			}
			in := tree.Ahead(ctx, func(w io.Writer) error {
				return tree.Pack(ctx, w, up.Source, tree.PackOptions{Progress: up.Progress})
			})
			defer in.Close()
			return c.placed(ctx, p.Tree(`tar -xpof - -C "$t"`, name, mode), in)
		}
	}
	content, size, mode, err := tree.Source(ctx, up)
	if err != nil {
		return err
	}
	defer content.Close()
	return c.placed(ctx, p.File(`cat >"$f"`, size, mode), content)
}

// placed runs a script that places what comes, and adds what it complained of.
func (c *Communicator) placed(ctx context.Context, script string, in io.Reader) error {
	var said bytes.Buffer
	if err := c.Run(ctx, &kiln.Cmd{Command: script, Stdin: in, Stderr: &said}); err != nil {
		return fmt.Errorf("%w: %s", err, &said)
	}
	return nil
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
