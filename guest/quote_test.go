package guest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// loginShells are those that users of a machine may have; a test takes what is here.
var loginShells = []string{"sh", "dash", "bash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh"}

// What is handed to sh, or to the login shell, arrives as it was whatever that shell is.
func TestAnyShell(t *testing.T) {
	odd := "it's \"$HOME\" `x` a!b !! \\ \\n \\\\ %s ~ # {a,b} [!c]*\ttab\n\nné"
	script := "v=" + Quote(odd) + "\nif [ ! -e /none ]; then printf '%s' \"$v\"; fi\nexit 7"
	for _, shell := range loginShells {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		for _, line := range []string{Sh(script), InLoginShell(script)} {
			cmd := exec.Command(path, "-c", line)
			cmd.Env = append(os.Environ(), "SHELL="+path, "HOME="+t.TempDir())
			out, err := cmd.CombinedOutput()
			if string(out) != odd || cmd.ProcessState.ExitCode() != 7 {
				t.Errorf("%s: got %q, %v", shell, out, err)
			}
		}
	}
}

// A shell that understands the script runs it itself: command lines count on it.
func TestOwnShell(t *testing.T) {
	path, err := exec.LookPath("bash")
	if err != nil {
		t.Skipf("SKIPPED, NOT TESTED: no bash: %v", err)
	}
	cmd := exec.Command(path, "-c", InLoginShell(`echo "own $BASH_VERSION"`))
	cmd.Env = append(os.Environ(), "SHELL="+path)
	if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) == "own" {
		t.Errorf("got %q, %v", out, err)
	}
}
