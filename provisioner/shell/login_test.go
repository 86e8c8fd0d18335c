package shell

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"kiln"
	"kiln/guest"
	"kiln/kilntest"
)

// login is a machine whose user has a shell of his own.
type login struct {
	kilntest.Local
	shell string
}

func (l *login) Run(ctx context.Context, cmd *kiln.Cmd) error {
	own := *cmd
	own.Command = "SHELL=" + l.shell + " exec " + l.shell + " -c " + guest.Quote(cmd.Command)
	return l.Local.Run(ctx, &own)
}

// A script runs whichever shell the machine's user has, and nothing is left.
func TestLoginShells(t *testing.T) {
	for _, shell := range []string{"sh", "dash", "bash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		for _, file := range []bool{false, true} {
			dir := t.TempDir()
			p := provisioner(Provisioner{
				Inline: []string{"echo \"$A!\""}, RemoteFolder: dir, UseEnvVarFile: file,
				Env: map[string]string{"A": "it's a \"$b\""},
			})
			b, r := kilntest.NewBuild(t)
			err := p.Provision(t.Context(), b, &login{shell: path})
			out := strings.Join(r.Texts(kiln.EventOut), "|")
			if left, _ := os.ReadDir(dir); err != nil || out != "it's a \"$b\"!" || len(left) != 0 {
				t.Errorf("%s: %v, printed %q, left %v", shell, err, out, left)
			}
		}
	}
}
