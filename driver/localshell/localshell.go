// Package localshell runs scripts on the machine that Kiln runs on, for the
// shell-local provisioner and the post-processor of the same name.
package localshell

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"kiln"
	"kiln/driver/process"
	"kiln/guest"
)

// Config is what both components can be told.
type Config struct {
	// A command line. Deprecated: use inline.
	Command string `kiln:"command,render=both"`
	// Lines of a script.
	Inline []string `kiln:"inline,render=both"`
	// A script file on this machine; it must be executable.
	Script string `kiln:"script,file"`
	// Script files, run in order.
	Scripts []string `kiln:"scripts,file"`
	// Exit codes that count as success.
	ValidExitCodes []int `kiln:"valid_exit_codes,default=0"`
	// Variables for the script, each KEY=VALUE.
	EnvironmentVars []string `kiln:"environment_vars,render=both"`
	// Variables for the script; they win over environment_vars.
	Env map[string]string `kiln:"env"`
	// How a variable is written into .Vars: a printf format for name and value.
	EnvVarFormat string `kiln:"env_var_format"`
	// The program and its arguments; {{.Vars}} and {{.Script}} stand for the variables and the script.
	ExecuteCommand []string `kiln:"execute_command,render=run"`
	// The interpreter of inline, as it stands after #!.
	InlineShebang string `kiln:"inline_shebang,default=/bin/sh -e"`
	// Operating systems of this machine on which to run; on others nothing is done.
	OnlyOn []string `kiln:"only_on,oneof=darwin|freebsd|linux|openbsd|solaris|windows"`
	// File name extension of the temporary script.
	TempfileExtension string `kiln:"tempfile_extension"`
	// Paths for the Windows Subsystem for Linux.
	UseLinuxPathing bool `kiln:"use_linux_pathing,refused=it is for Windows, where this version does not run"`
}

// Validate reports all that is wrong.
func (c *Config) Validate() error {
	var errs []error
	given := 0
	for _, is := range []bool{c.Command != "", len(c.Inline) > 0, c.Script != "", len(c.Scripts) > 0} {
		if is {
			given++
		}
	}
	switch {
	case given == 0:
		errs = append(
			errs,
			kiln.Invalid("inline", "Command, Inline, Script and Scripts options cannot all be empty."),
		)
	case given > 1:
		errs = append(
			errs,
			kiln.Invalid(
				"inline",
				"You may only specify one of the following options: Command, Inline, Script or Scripts. Please consolidate these options in your config.",
			),
		)
	}
	for _, s := range c.files() {
		if err := readable(s); err != nil {
			field := "scripts"
			if c.Script != "" {
				field = "script"
			}
			errs = append(errs, kiln.Invalid(field, "Bad script '%s': %v", s, err))
		}
	}
	for _, v := range c.EnvironmentVars {
		if name, _, ok := strings.Cut(v, "="); !ok || name == "" {
			errs = append(
				errs,
				kiln.Invalid("environment_vars", "Environment variable not in format 'key=value': %s", v),
			)
		}
	}
	if c.EnvVarFormat == "" {
		c.EnvVarFormat = "%s='%s' "
	}
	if len(c.ExecuteCommand) == 0 {
		c.ExecuteCommand = []string{"/bin/sh", "-c", "{{.Vars}} {{.Script}}"}
	}
	c.TempfileExtension = strings.TrimPrefix(c.TempfileExtension, ".")
	return errors.Join(errs...)
}

func (c *Config) files() []string {
	if c.Script != "" {
		return []string{c.Script}
	}
	return c.Scripts
}

// Run runs the scripts. Data is what templates may use beside the build's own.
func (c *Config) Run(ctx context.Context, b *kiln.Build, data map[string]any) error {
	if len(c.OnlyOn) > 0 && !slices.Contains(c.OnlyOn, runtime.GOOS) {
		b.Say("Skipping shell-local due to runtime OS")
		return nil
	}
	scripts := c.files()
	lines := c.Inline
	if c.Command != "" {
		lines = []string{c.Command}
	}
	if len(lines) > 0 {
		path, remove, err := c.temporary(ctx, b, lines)
		if err != nil {
			return err
		}
		defer remove()
		scripts = []string{path}
	}
	for _, s := range scripts {
		if err := c.runScript(ctx, b, s, data); err != nil {
			return err
		}
	}
	return nil
}

// temporary writes the inline script to a file that is owned until it is removed.
func (c *Config) temporary(ctx context.Context, b *kiln.Build, lines []string) (string, func(), error) {
	text := strings.Join(lines, "\n") + "\n"
	if c.InlineShebang != "" {
		text = "#!" + c.InlineShebang + "\n" + text
	}
	path := filepath.Join(
		os.TempDir(),
		"packer-shell"+strconv.FormatUint(rand.Uint64(), 10),
	)
	if c.TempfileExtension != "" {
		path += "." + c.TempfileExtension
	}
	r := kiln.Resource{Kind: kiln.KindFile, ID: path}
	err := b.Own(r, kiln.RemoveFile(r))
	if err != nil {
		return "", nil, err
	}
	if err := writeNew(path, text); err != nil {
		return "", nil, fmt.Errorf("write the script: %w", err)
	}
	return path, func() {
		// A failure to remove it is reported when the build is closed.
		_ = b.Destroy(context.WithoutCancel(ctx), r)
	}, nil
}

// writeNew writes a file that does not exist yet: in a folder for all, somebody may
// have put a link there.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func (c *Config) runScript(ctx context.Context, b *kiln.Build, script string, data map[string]any) error {
	abs, err := filepath.Abs(script)
	if err != nil {
		return err
	}
	vars := map[string]any{}
	for k, v := range data {
		vars[k] = v
	}
	vars["Vars"], vars["Script"], vars["Command"] = c.vars(b, data), abs, abs
	var argv []string
	for _, part := range c.ExecuteCommand {
		text, err := b.Render(part, vars)
		if err != nil {
			return fmt.Errorf("execute_command: %w", err)
		}
		argv = append(argv, text)
	}
	b.Say("Running local shell script: %s", script)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	stdout, stderr := b.Output(kiln.EventOut), b.Output(kiln.EventErr)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err = process.Run(ctx, b, cmd)
	stdout.Close()
	stderr.Close()
	return c.outcome(ctx, err)
}

func (c *Config) outcome(ctx context.Context, err error) error {
	code := 0
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &exit):
		code = exit.ExitCode()
		if exit.ExitCode() < 0 {
			return fmt.Errorf("Error executing script: %w", err)
		}
	case err != nil:
		return fmt.Errorf("Error executing script: %w", err)
	}
	codes := c.ValidExitCodes
	if len(codes) == 0 {
		codes = []int{0}
	}
	if !slices.Contains(codes, code) {
		return fmt.Errorf("Script exited with non-zero exit status: %d. Allowed exit codes are: %v", code, codes)
	}
	return nil
}

// vars are the script's variables as words of a command line.
func (c *Config) vars(b *kiln.Build, data map[string]any) string {
	return guest.Vars(b, data, c.EnvironmentVars, c.Env, c.EnvVarFormat)
}

// readable reports why a path cannot be a script.
func readable(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		err = errors.New("it is a folder")
	}
	return err
}
