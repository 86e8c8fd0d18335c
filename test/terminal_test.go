//go:build linux

package test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// onTerminal runs the program with a terminal of the given size as its output and
// returns what came to the screen.
func onTerminal(t *testing.T, dir string, columns uint16, env []string, args ...string) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	size := &unix.Winsize{Row: 24, Col: columns}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "KILN_HOME="+filepath.Join(dir, "home"), "TERM=xterm", "CI="), env...)
	cmd.Stdout, cmd.Stderr = slave, slave
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	// Reading ends with an error when the last process has closed the terminal.
	screen, _ := io.ReadAll(master)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %v\n%s", args, err, screen)
	}
	return string(screen)
}

// On a terminal builds are seen live, on that of a CI as lines; what a guest prints
// controls neither.
func TestOnATerminal(t *testing.T) {
	dir := t.TempDir()
	const evil = `\033]0;owned\007\033[2Jshown`
	write(t, dir, "t.json", fmt.Sprintf(`{"builders":[{"type":"null","communicator":"none"}],
		"provisioners":[{"type":"shell-local","inline":[%q]}]}`, "printf '"+evil+"\\n'"))
	const hidden = "\x1b[?25l" // the live view hides the cursor
	guest := func(screen string) {
		t.Helper()
		if !strings.Contains(screen, "==> null: shown") {
			t.Errorf("the line is not shown: %q", screen)
		}
		for _, bad := range []string{"\x1b]0;", "\a", "\x1b[2J"} {
			if strings.Contains(screen, bad) {
				t.Errorf("%q came to the terminal: %q", bad, screen)
			}
		}
	}
	for _, c := range []struct {
		ci   string
		live bool
	}{{"CI=", true}, {"CI=false", true}, {"CI=true", false}, {"CI=1", false}, {"CI=woodpecker", false}} {
		screen := onTerminal(t, dir, 80, []string{c.ci}, "build", "t.json")
		if strings.Contains(screen, hidden) != c.live {
			t.Errorf("%s: live is not %v: %q", c.ci, c.live, screen)
		}
		guest(screen)
	}
	guest(onTerminal(t, dir, 80, nil, "logs", "last"))
	guest(onTerminal(t, dir, 80, nil, "build", "-output=plain", "t.json"))
	// In a pipe it is as the guest sent it.
	cmd := exec.Command(program, "logs", "last")
	cmd.Env = append(os.Environ(), "KILN_HOME="+filepath.Join(dir, "home"))
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "\x1b[2Jshown") {
		t.Errorf("%v: %q", err, out)
	}
}
