// Package virtualbox is VirtualBox as its program VBoxManage shows it from outside: its
// commands, what they print, and machines, disks and snapshots as resources of a build.
package virtualbox

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"kiln"
)

// name is what the program is called.
const name = "VBoxManage"

// Program is VBoxManage.
type Program struct {
	// Path of it.
	Path string
	// Home is the folder in which VirtualBox keeps what it knows; "": where it says itself.
	Home string
	// Waiting is told what is waited for where that takes long; it may be nil.
	Waiting func(format string, args ...any)

	limit, quiet time.Duration // for tests: in place of lockTime and quietTime
}

// Find finds the program: on Windows where its installer says, elsewhere on the path.
func Find() (*Program, error) {
	if runtime.GOOS == "windows" {
		for _, variable := range []string{"VBOX_INSTALL_PATH", "VBOX_MSI_INSTALL_PATH"} {
			for _, dir := range strings.Split(os.Getenv(variable), ";") {
				path := filepath.Join(dir, name+".exe")
				if _, err := os.Stat(path); dir != "" && err == nil {
					return &Program{Path: path, Home: os.Getenv(homeVariable)}, nil
				}
			}
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("Failed creating VirtualBox driver: %w", err)
	}
	return &Program{Path: path, Home: os.Getenv(homeVariable)}, nil
}

// homeVariable tells VirtualBox where to keep what it knows.
const homeVariable = "VBOX_USER_HOME"

// Error is a command of the program that failed.
type Error struct {
	Text string // what it said
}

func (e *Error) Error() string { return "VBoxManage error: " + e.Text }

// lockedText stands in an error of a command on a machine that something else works on.
const lockedText = "VBOX_E_INVALID_OBJECT_STATE"

// Locked reports whether an error says that something else works on the machine.
func Locked(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && strings.Contains(e.Text, lockedText)
}

// Unknown reports whether an error says that there is no such machine.
func Unknown(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (strings.Contains(e.Text, "VBOX_E_OBJECT_NOT_FOUND") ||
		strings.Contains(e.Text, "Could not find a registered machine"))
}

const (
	lockTime  = 4 * time.Minute // that a locked machine gets to be let go
	quietTime = 5 * time.Second // of it that nobody hears of
)

// Run runs a command and returns what it printed, without white space around it. While the
// machine is locked it tries again: VirtualBox lets go of one a moment after it went off.
func (p *Program) Run(ctx context.Context, args ...string) (string, error) {
	limit, quiet := cmp.Or(p.limit, lockTime), cmp.Or(p.quiet, quietTime)
	begin, said := time.Now(), false
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		out, err := p.once(ctx, args)
		if !Locked(err) {
			return out, err
		}
		took := time.Since(begin)
		if took > limit {
			return out, fmt.Errorf("retry count exhausted. Last err: %w", err)
		}
		if took > quiet && !said && p.Waiting != nil {
			p.Waiting("Waiting for VirtualBox to let go of the machine: %v", err)
			said = true
		}
		if sleepErr := kiln.Sleep(ctx, pause); sleepErr != nil {
			return out, sleepErr
		}
	}
}

// endTime is how long a command may take to end when its context has: it undoes what it
// has begun.
const endTime = 10 * time.Second

// once runs a command once.
func (p *Program) once(ctx context.Context, args []string) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	cmd := exec.CommandContext(ctx, p.Path, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if p.Home != "" {
		cmd.Env = append(cmd.Environ(), homeVariable+"="+p.Home)
	}
	// The first command starts VirtualBox's service, which may hold the output open.
	cmd.WaitDelay = endTime
	apart(cmd)
	err := run(cmd)
	out, errs := strings.TrimSpace(stdout.String()), strings.TrimSpace(stderr.String())
	if ctx.Err() != nil && err != nil {
		return out, context.Cause(ctx)
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it has ended, and what it started goes on
	}
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return out, &Error{errs}
	}
	if err != nil {
		return out, fmt.Errorf("run %s: %w", name, err)
	}
	if failedAnyway.MatchString(errs) {
		return out, &Error{errs}
	}
	return out, nil
}

// failedAnyway is what Windows' program says of a failure for which it has no exit code.
var failedAnyway = regexp.MustCompile(`VBoxManage[a-z.]+: error:`)

// run runs a command from a thread that lasts: where a child ends with its parent, it is
// the thread that started it that counts.
func run(cmd *exec.Cmd) error {
	ended := make(chan error)
	go func() {
		runtime.LockOSThread()
		ended <- cmd.Run()
	}()
	return <-ended
}

// Version is the version as the program says it, without what is behind its numbers.
func (p *Program) Version(ctx context.Context) (Version, error) {
	out, err := p.Run(ctx, "--version")
	if err != nil {
		return "", err
	}
	return parseVersion(out)
}

// Version is a version such as 7.0.14.
type Version string

var versionForm = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*`)

func parseVersion(out string) (Version, error) {
	if strings.Contains(out, "vboxdrv") {
		return "", fmt.Errorf("VirtualBox is not properly setup: %s", out)
	}
	v := versionForm.FindString(out)
	if v == "" {
		return "", fmt.Errorf("No version found: %s", out)
	}
	return Version(v), nil
}

// AtLeast reports whether it is that version or a later one.
func (v Version) AtLeast(major, minor int) bool {
	parts := strings.SplitN(string(v)+".0", ".", 3)
	a, err := strconv.Atoi(parts[0])
	if err != nil {
		return false
	}
	b, err := strconv.Atoi(parts[1])
	return err == nil && (a > major || a == major && b >= minor)
}

// Additions is the version whose guest additions fit it.
func (v Version) Additions() Version {
	switch v {
	case "4.2.1":
		return "4.2.0"
	case "4.1.23":
		return "4.1.22"
	}
	return v
}
