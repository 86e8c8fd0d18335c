// Package shell runs scripts on the machine with its shell.
package shell

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"kiln"
)

// Provisioner runs scripts on the machine.
type Provisioner struct {
	// Lines of a script, run together.
	Inline []string `kiln:"inline,render=both"`
	// A script file on this machine.
	Script string `kiln:"script,file"`
	// Script files, run in order.
	Scripts []string `kiln:"scripts,file"`
	// Exit codes that count as success.
	ValidExitCodes []int `kiln:"valid_exit_codes,default=0"`
	// Variables for the script, each KEY=VALUE.
	EnvironmentVars []string `kiln:"environment_vars"`
	// Variables for the script; they win over environment_vars.
	Env map[string]string `kiln:"env"`
	// How a variable is written: a printf format for name and value. The default is "%s='%s' " on the command line, and an export line in a file of variables.
	EnvVarFormat string `kiln:"env_var_format"`
	// Send the script as it is. Otherwise line ends become those of Unix.
	Binary bool `kiln:"binary"`
	// Folder on the machine for the script. Where it does not exist yet, the script is tried again until start_retry_timeout.
	RemoteFolder string `kiln:"remote_folder,default=/tmp"`
	// Name of the script on the machine; by default script_NNNN.sh with random digits.
	RemoteFile string `kiln:"remote_file"`
	// Whole path of the script on the machine; by default remote_folder and remote_file.
	RemotePath string `kiln:"remote_path"`
	// The interpreter of inline, as it stands after #!. The default is "/bin/sh -e", unless the first line says otherwise.
	InlineShebang string `kiln:"inline_shebang"`
	// Command line that runs the script: {{.Path}}, {{.Vars}} and {{.EnvVarFile}} stand for the script, the variables and their file. The default is "chmod +x {{.Path}}; {{.Vars}} {{.Path}}".
	ExecuteCommand string `kiln:"execute_command,render=run"`
	// Put the variables into a file on the machine, which is read before the script, instead of on the command line.
	UseEnvVarFile bool `kiln:"use_env_var_file"`
	// Losing the connection is not a failure: the script restarts the machine.
	ExpectDisconnect bool `kiln:"expect_disconnect"`
	// Leave the script on the machine.
	SkipClean bool `kiln:"skip_clean"`
	// How long to try to bring and start the script, for a machine that is restarting.
	StartRetryTimeout time.Duration `kiln:"start_retry_timeout,default=5m"`
	// How long to wait after the last script.
	PauseAfter time.Duration `kiln:"pause_after"`
}

// Validate reports all that is wrong.
func (p *Provisioner) Validate() error {
	var errs []error
	switch {
	case p.Script != "" && len(p.Scripts) > 0:
		errs = append(errs, kiln.Invalid("scripts", "Only one of script or scripts can be specified."))
	case p.Script == "" && len(p.Scripts) == 0 && len(p.Inline) == 0:
		errs = append(errs, kiln.Invalid("inline", "Either a script file or inline script must be specified."))
	case len(p.Inline) > 0 && len(p.files()) > 0:
		errs = append(
			errs,
			kiln.Invalid("inline", "Only a script file or an inline script can be specified, not both."),
		)
	}
	for _, path := range p.files() {
		field := "scripts"
		if p.Script != "" {
			field = "script"
		}
		if err := readable(path); err != nil {
			errs = append(errs, kiln.Invalid(field, "Bad script '%s': %v", path, err))
		}
	}
	for _, v := range p.EnvironmentVars {
		if name, _, ok := strings.Cut(v, "="); !ok || name == "" {
			errs = append(
				errs,
				kiln.Invalid("environment_vars", "Environment variable not in format 'key=value': %s", v),
			)
		}
	}
	if p.EnvVarFormat != "" && strings.Count(strings.ReplaceAll(p.EnvVarFormat, "%%", ""), "%") != 2 {
		errs = append(
			errs,
			kiln.Invalid(
				"env_var_format",
				"%q needs exactly two places, for name and value, such as \"%%s='%%s' \"",
				p.EnvVarFormat,
			),
		)
	}
	return errors.Join(errs...)
}

// Traits: nothing has to be known to tell where a script was left.
func (p *Provisioner) Traits() kiln.Traits { return kiln.Traits{ReapsAlone: true} }

// Reap names a script that a crash may have left on a machine that is not ours: the way
// to it ended with the build.
func (p *Provisioner) Reap(context.Context, kiln.Resource) error { return kiln.ErrOutOfReach }

// Owned finds nothing: each script is written down before it is brought.
func (p *Provisioner) Owned(context.Context, string, kiln.Resource) ([]kiln.Resource, error) {
	return nil, nil
}

func (p *Provisioner) files() []string {
	if p.Script != "" {
		return []string{p.Script}
	}
	return p.Scripts
}

func (p *Provisioner) format() string {
	switch {
	case p.EnvVarFormat != "":
		return p.EnvVarFormat
	case p.UseEnvVarFile:
		return "export %s='%s'\n"
	}
	return "%s='%s' "
}

func (p *Provisioner) command() string {
	switch {
	case p.ExecuteCommand != "":
		return p.ExecuteCommand
	case p.UseEnvVarFile:
		return "chmod +x {{.Path}}; . {{.EnvVarFile}} && {{.Path}}"
	}
	return "chmod +x {{.Path}}; {{.Vars}} {{.Path}}"
}

// remotePath is where the scripts go on the machine.
func (p *Provisioner) remotePath() string {
	if p.RemotePath != "" {
		return p.RemotePath
	}
	name := p.RemoteFile
	if name == "" {
		name = "script_" + digits(4) + ".sh"
	}
	return p.inFolder(name)
}

// named reports whether the template says what the script is called on the machine.
func (p *Provisioner) named() bool { return p.RemotePath != "" || p.RemoteFile != "" }

func (p *Provisioner) inFolder(name string) string {
	return strings.TrimSuffix(p.RemoteFolder, "/") + "/" + name
}

// digits are n random digits, of which the first is not zero: rules of sudo match such
// names.
func digits(n int) string {
	least := int(math.Pow10(n - 1))
	return strconv.Itoa(least + rand.N(9*least))
}

// readable reports why a path cannot be a script.
func readable(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		err = errors.New("it is a folder")
	}
	return err
}
