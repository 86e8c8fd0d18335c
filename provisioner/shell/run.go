package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
			Owner:    "provisioner.shell",
			Path:     p.remotePath(),
			Fresh:    !p.named(),
			RetryFor: p.StartRetryTimeout,
			Keep:     p.SkipClean,
		},
	}
	if p.UseEnvVarFile {
		r.VarPath = p.inFolder("varfile_" + digits(4) + ".sh")
	}
	if len(p.Inline) > 0 {
		// Packer names the file that it makes of the lines; here there is none.
		if err := r.script(ctx, filepath.Join(os.TempDir(), "packer-shell"+digits(9)), p.inline()); err != nil {
			return err
		}
	}
	for _, file := range p.files() {
		text, err := b.ReadFile(ctx, file)
		if err != nil {
			return fmt.Errorf("read script: %w", err)
		}
		if !p.Binary {
			text = unixLines(text)
		}
		if err := r.script(ctx, file, text); err != nil {
			return err
		}
	}
	if p.PauseAfter > 0 {
		b.Say("Pausing %s after this provisioner...", p.PauseAfter)
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

// otherNames is how many names are tried where others have a file of that name.
const otherNames = 20

// script runs one script.
func (r *runner) script(ctx context.Context, name string, text []byte) error {
	r.Build.Say("Provisioning with shell script: %s", name)
	vars := r.vars()
	for try := 0; ; try++ {
		command, err := r.Build.Render(
			r.p.command(),
			map[string]any{"Path": r.Path, "Vars": vars, "EnvVarFile": r.VarPath},
		)
		if err != nil {
			return fmt.Errorf("execute_command: %w", err)
		}
		err = r.Run(ctx, text, vars, command)
		if errors.Is(err, guest.ErrTaken) && try < otherNames {
			r.Path = r.p.remotePath()
			continue
		}
		// One that stays is replaced by the next script, as with Packer.
		r.Fresh = r.Fresh && !r.Keep
		return r.outcome(ctx, err)
	}
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
