package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"kiln"
	"kiln/guest"
)

// Provision runs the scripts, one after another.
func (p *Provisioner) Provision(ctx context.Context, b *kiln.Build, c kiln.Communicator) error {
	r := runner{
		p,
		&guest.Script{
			Build:    b,
			Machine:  c,
			Path:     p.remotePath(),
			RetryFor: p.StartRetryTimeout,
			Keep:     p.SkipClean,
		},
	}
	if p.UseEnvVarFile {
		r.VarPath = strings.TrimSuffix(p.RemoteFolder, "/") + "/varfile_" + kiln.RandomName(6) + ".sh"
	}
	if len(p.Inline) > 0 {
		if err := r.script(ctx, "inline script", p.inline()); err != nil {
			return err
		}
	}
	for _, file := range p.files() {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read script: %w", err)
		}
		if !p.Binary {
			text = unixLines(text)
		}
		if err := r.script(ctx, "shell script: "+file, text); err != nil {
			return err
		}
	}
	return kiln.Sleep(ctx, p.PauseAfter)
}

// inline is the inline script as a file.
func (p *Provisioner) inline() []byte {
	text := strings.Join(p.Inline, "\n") + "\n"
	switch {
	case p.InlineShebang != "":
		text = "#!" + p.InlineShebang + "\n" + text
	case !strings.HasPrefix(text, "#!"):
		text = "#!/bin/sh -e\n" + text
	}
	return []byte(text)
}

// unixLines makes every line, the last too, end with a newline alone.
func unixLines(text []byte) []byte {
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
		text = append(text, '\n')
	}
	return text
}

// runner runs the scripts of one provisioner.
type runner struct {
	p *Provisioner
	*guest.Script
}

// vars writes the variables in the provisioner's format.
func (r *runner) vars() string {
	return guest.Vars(r.Build, nil, r.p.EnvironmentVars, r.p.Env, r.p.format())
}

// script runs one script.
func (r *runner) script(ctx context.Context, title string, text []byte) error {
	r.Build.Say("Provisioning with %s", title)
	vars := r.vars()
	command, err := r.Build.Render(
		r.p.command(),
		map[string]any{"Path": r.Path, "Vars": vars, "EnvVarFile": r.VarPath},
	)
	if err != nil {
		return fmt.Errorf("execute_command: %w", err)
	}
	return r.outcome(ctx, r.Run(ctx, text, vars, command))
}

// outcome decides what the end of a script means.
func (r *runner) outcome(ctx context.Context, err error) error {
	code := 0
	var exit *kiln.ExitError
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, guest.ErrNotBegun):
		return err
	case errors.Is(err, kiln.ErrConnectionLost):
		if !r.p.ExpectDisconnect {
			return fmt.Errorf(
				"Script disconnected unexpectedly. If the script is meant to end the connection, for example by restarting the machine, set expect_disconnect = true: %w",
				err,
			)
		}
		r.Build.Say("The connection ended, as expect_disconnect says.")
		return r.RemoveAfterRestart(ctx)
	case errors.As(err, &exit):
		code = exit.Code
	default:
		return err
	}
	if !slices.Contains(r.p.ValidExitCodes, code) && !(len(r.p.ValidExitCodes) == 0 && code == 0) {
		return fmt.Errorf(
			"Script exited with non-zero exit status: %d. Allowed exit codes are: %v",
			code,
			r.p.ValidExitCodes,
		)
	}
	return nil
}
