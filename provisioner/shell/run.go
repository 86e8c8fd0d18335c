package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"kiln"
	"kiln/guest"
)

// errNotBegun is a script that never began to run, so that it may be tried again.
var errNotBegun = errors.New("the script did not start")

// Provision runs the scripts, one after another.
func (p *Provisioner) Provision(ctx context.Context, b *kiln.Build, c kiln.Communicator) error {
	r := runner{p: p, b: b, c: c, path: p.remotePath()}
	if p.UseEnvVarFile {
		r.varPath = strings.TrimSuffix(p.RemoteFolder, "/") + "/varfile_" + kiln.RandomName(6) + ".sh"
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
	p       *Provisioner
	b       *kiln.Build
	c       kiln.Communicator
	path    string
	varPath string // "": variables are on the command line
}

// vars writes the variables in the provisioner's format.
func (r *runner) vars() string {
	return guest.Vars(r.b, nil, r.p.EnvironmentVars, r.p.Env, r.p.format())
}

// script brings one script to the machine, runs it and takes it away again. Until
// it has begun to run, a failure of the connection is tried again.
func (r *runner) script(ctx context.Context, title string, text []byte) error {
	r.b.Say("Provisioning with %s", title)
	vars := r.vars()
	command, err := r.b.Render(r.p.command(), map[string]any{"Path": r.path, "Vars": vars, "EnvVarFile": r.varPath})
	if err != nil {
		return fmt.Errorf("execute_command: %w", err)
	}
	if r.varPath == "" {
		vars = ""
	}
	err = r.retry(ctx, func() error { return r.once(ctx, command, text, vars) })
	return r.outcome(ctx, err)
}

// outcome decides what the end of a script means.
func (r *runner) outcome(ctx context.Context, err error) error {
	code := 0
	var exit *kiln.ExitError
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errNotBegun):
		return err
	case errors.Is(err, kiln.ErrConnectionLost):
		if !r.p.ExpectDisconnect {
			return fmt.Errorf("Script disconnected unexpectedly. If the script is meant to end the connection, for example by restarting the machine, set expect_disconnect = true: %w", err)
		}
		r.b.Say("The connection ended, as expect_disconnect says.")
		return r.removeAfterRestart(ctx)
	case errors.As(err, &exit):
		code = exit.Code
	default:
		return err
	}
	if !slices.Contains(r.p.ValidExitCodes, code) && !(len(r.p.ValidExitCodes) == 0 && code == 0) {
		return fmt.Errorf("Script exited with non-zero exit status: %d. Allowed exit codes are: %v", code, r.p.ValidExitCodes)
	}
	return nil
}

// retry tries again what did not begin, until start_retry_timeout is over.
func (r *runner) retry(ctx context.Context, try func() error) error {
	deadline := time.Now().Add(r.p.StartRetryTimeout)
	delay := 100 * time.Millisecond
	for {
		err := try()
		var start *kiln.StartError
		if !errors.As(err, &start) && !errors.Is(err, errNotBegun) || ctx.Err() != nil {
			return err
		}
		var exit *kiln.ExitError
		if errors.As(err, &exit) || start != nil && start.Final || r.c.Guest().Shell == kiln.ShellNone {
			return err // the machine answered, or never will: trying again changes nothing
		}
		pause := delay/2 + rand.N(delay)
		if time.Now().Add(pause).After(deadline) {
			return fmt.Errorf("tried to start the script for %s: %w", r.p.StartRetryTimeout, err)
		}
		if err := kiln.Sleep(ctx, pause); err != nil {
			return err
		}
		delay = min(2*delay, 2*time.Second)
	}
}

// once makes one try. Where a POSIX shell has standard input as a clean stream,
// everything is one command; the script follows on its input.
func (r *runner) once(ctx context.Context, command string, text []byte, vars string) error {
	if g := r.c.Guest(); g.Terminal || g.Shell != kiln.ShellPOSIX {
		return r.inSteps(ctx, command, text, vars)
	}
	mark := "kiln-started-" + kiln.RandomName(12)
	stdout, stderr := r.b.Output(kiln.EventOut), r.b.Output(kiln.EventErr)
	begun := &marker{mark: mark + "\n", out: stderr}
	input := io.MultiReader(strings.NewReader(vars), bytes.NewReader(text))
	err := r.c.Run(ctx, &kiln.Cmd{Command: r.oneCommand(mark, command, len(vars)), Stdin: input, Stdout: stdout, Stderr: begun})
	stdout.Close()
	if err != nil && !begun.seen && ctx.Err() == nil {
		return fmt.Errorf("upload script to %s: %w: %w%s", r.path, errNotBegun, err, begun.words())
	}
	begun.flush()
	stderr.Close()
	return err
}

// oneCommand is a command line that takes the variables and the script from its
// input, says that it begins, runs the script and removes what it brought.
func (r *runner) oneCommand(mark, command string, varBytes int) string {
	var b strings.Builder
	path := guest.Quote(r.path)
	if r.varPath != "" {
		fmt.Fprintf(&b, "( umask 077; dd bs=1 count=%d 2>/dev/null >%s ) || exit 1; ", varBytes, guest.Quote(r.varPath))
	}
	fmt.Fprintf(&b, "cat >%s && chmod 0755 %s || { rm -f %s; exit 1; }; echo %s >&2\n", path, path, path, mark)
	// A sub-shell, so that an exit in execute_command does not skip the rest.
	fmt.Fprintf(&b, "( %s\n) </dev/null\n", command)
	if !r.p.SkipClean {
		fmt.Fprintf(&b, "kiln_code=$?; rm -f %s %s; exit $kiln_code\n", path, guest.Quote(r.varPath))
	}
	return strings.ReplaceAll(b.String(), " ''", "")
}

// inSteps brings and runs the script with a call for each step.
func (r *runner) inSteps(ctx context.Context, command string, text []byte, vars string) error {
	if r.varPath != "" {
		if err := r.c.Upload(ctx, &kiln.Upload{Destination: r.varPath, Content: strings.NewReader(vars), Size: int64(len(vars)), Mode: 0o600}); err != nil {
			return fmt.Errorf("upload variables to %s: %w: %w", r.varPath, errNotBegun, err)
		}
	}
	if err := r.c.Upload(ctx, &kiln.Upload{Destination: r.path, Content: bytes.NewReader(text), Size: int64(len(text)), Mode: 0o755}); err != nil {
		return fmt.Errorf("upload script to %s: %w: %w", r.path, errNotBegun, err)
	}
	stdout, stderr := r.b.Output(kiln.EventOut), r.b.Output(kiln.EventErr)
	err := r.c.Run(ctx, &kiln.Cmd{Command: command, Stdout: stdout, Stderr: stderr})
	stdout.Close()
	stderr.Close()
	if r.p.SkipClean || errors.Is(err, kiln.ErrConnectionLost) || ctx.Err() != nil {
		return err
	}
	if rmErr := r.remove(ctx); rmErr != nil && err == nil {
		return rmErr
	}
	return err
}

func (r *runner) remove(ctx context.Context) error {
	command := "rm -f " + guest.Quote(r.path)
	if r.varPath != "" {
		command += " " + guest.Quote(r.varPath)
	}
	if err := r.c.Run(ctx, &kiln.Cmd{Command: command}); err != nil {
		return fmt.Errorf("remove script from the machine: %w", err)
	}
	return nil
}

// removeAfterRestart removes the script once the machine answers again.
func (r *runner) removeAfterRestart(ctx context.Context) error {
	if r.p.SkipClean {
		return nil
	}
	return r.retry(ctx, func() error {
		err := r.remove(ctx)
		if errors.Is(err, kiln.ErrConnectionLost) {
			// It may have met the machine on its way down.
			return &kiln.StartError{Err: err}
		}
		return err
	})
}

// marker takes a line out of a stream that says that the script has begun. What
// came before it is not output of the script.
type marker struct {
	mark string
	out  io.Writer
	seen bool
	buf  []byte
}

// Write holds back what may be the mark.
func (m *marker) Write(p []byte) (int, error) {
	if m.seen {
		return m.out.Write(p)
	}
	m.buf = append(m.buf, p...)
	if i := bytes.Index(m.buf, []byte(m.mark)); i >= 0 {
		m.seen = true
		rest := append(m.buf[:i:i], m.buf[i+len(m.mark):]...)
		m.buf = nil
		if _, err := m.out.Write(rest); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// flush passes on what was held back.
func (m *marker) flush() {
	if len(m.buf) > 0 {
		// The writer makes events of it and never fails.
		_, _ = m.out.Write(m.buf)
		m.buf = nil
	}
}

// words is what the machine said instead of beginning.
func (m *marker) words() string {
	if text := strings.TrimSpace(string(m.buf)); text != "" {
		return ": " + text
	}
	return ""
}
