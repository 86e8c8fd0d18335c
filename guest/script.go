package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"kiln"
)

// ErrNotBegun is a script that never began to run, so that it may be tried again.
var ErrNotBegun = errors.New("the script did not start")

// A Script is brought to a machine with a POSIX shell, run there, and taken away again.
type Script struct {
	Build   *kiln.Build
	Machine kiln.Communicator
	Path    string // on the machine
	VarPath string // of a file of variables beside it; "": none
	// RetryFor is how long to try again what did not begin, for a machine that is
	// restarting.
	RetryFor time.Duration
	Keep     bool // leave the script on the machine
}

// Run brings the script and its file of variables, and runs it by a command line. Until
// it has begun to run, a failure of the connection is tried again; when it never did,
// the error is ErrNotBegun.
func (s *Script) Run(ctx context.Context, text []byte, vars, command string) error {
	if s.VarPath == "" {
		vars = ""
	}
	return s.retry(ctx, func() error { return s.once(ctx, command, text, vars) })
}

// retry tries again what did not begin, until RetryFor is over.
func (s *Script) retry(ctx context.Context, try func() error) error {
	deadline := time.Now().Add(s.RetryFor)
	delay := 100 * time.Millisecond
	for {
		err := try()
		var start *kiln.StartError
		if !errors.As(err, &start) && !errors.Is(err, ErrNotBegun) || ctx.Err() != nil {
			return err
		}
		var exit *kiln.ExitError
		if errors.As(err, &exit) || start != nil && start.Final || s.Machine.Guest().Shell == kiln.ShellNone {
			return err // the machine answered, or never will: trying again changes nothing
		}
		pause := delay/2 + rand.N(delay)
		if time.Now().Add(pause).After(deadline) {
			return fmt.Errorf("tried to start the script for %s: %w", s.RetryFor, err)
		}
		if err := kiln.Sleep(ctx, pause); err != nil {
			return err
		}
		delay = min(2*delay, 2*time.Second)
	}
}

// once makes one try. Where a POSIX shell has standard input as a clean stream,
// everything is one command; the script follows on its input.
func (s *Script) once(ctx context.Context, command string, text []byte, vars string) error {
	if g := s.Machine.Guest(); g.Terminal || g.Shell != kiln.ShellPOSIX {
		return s.inSteps(ctx, command, text, vars)
	}
	mark := "kiln-started-" + kiln.RandomName(12)
	stdout, stderr := s.Build.Output(kiln.EventOut), s.Build.Output(kiln.EventErr)
	begun := &marker{mark: mark + "\n", out: stderr}
	input := io.MultiReader(strings.NewReader(vars), bytes.NewReader(text))
	err := s.Machine.Run(
		ctx,
		&kiln.Cmd{Command: s.oneCommand(mark, command, len(vars)), Stdin: input, Stdout: stdout, Stderr: begun},
	)
	stdout.Close()
	if err != nil && !begun.seen && ctx.Err() == nil {
		return fmt.Errorf("upload script to %s: %w: %w%s", s.Path, ErrNotBegun, err, begun.words())
	}
	begun.flush()
	stderr.Close()
	return err
}

// oneCommand is a command line that takes the variables and the script from its
// input, says that it begins, runs the script and removes what it brought.
func (s *Script) oneCommand(mark, command string, varBytes int) string {
	var b strings.Builder
	path := Quote(s.Path)
	if s.VarPath != "" {
		fmt.Fprintf(&b, "( umask 077; dd bs=1 count=%d 2>/dev/null >%s ) || exit 1; ", varBytes, Quote(s.VarPath))
	}
	fmt.Fprintf(&b, "cat >%s && chmod 0755 %s || { rm -f %s; exit 1; }; echo %s >&2\n", path, path, path, mark)
	// A sub-shell, so that an exit in execute_command does not skip the rest.
	fmt.Fprintf(&b, "( %s\n) </dev/null\n", command)
	if !s.Keep {
		fmt.Fprintf(&b, "kiln_code=$?; rm -f %s %s; exit $kiln_code\n", path, Quote(s.VarPath))
	}
	return strings.ReplaceAll(b.String(), " ''", "")
}

// inSteps brings and runs the script with a call for each step.
func (s *Script) inSteps(ctx context.Context, command string, text []byte, vars string) error {
	if s.VarPath != "" {
		if err := s.Machine.Upload(ctx, &kiln.Upload{Destination: s.VarPath, Content: strings.NewReader(vars), Size: int64(len(vars)), Mode: 0o600}); err != nil {
			return fmt.Errorf("upload variables to %s: %w: %w", s.VarPath, ErrNotBegun, err)
		}
	}
	if err := s.Machine.Upload(ctx, &kiln.Upload{Destination: s.Path, Content: bytes.NewReader(text), Size: int64(len(text)), Mode: 0o755}); err != nil {
		return fmt.Errorf("upload script to %s: %w: %w", s.Path, ErrNotBegun, err)
	}
	stdout, stderr := s.Build.Output(kiln.EventOut), s.Build.Output(kiln.EventErr)
	err := s.Machine.Run(ctx, &kiln.Cmd{Command: command, Stdout: stdout, Stderr: stderr})
	stdout.Close()
	stderr.Close()
	if s.Keep || errors.Is(err, kiln.ErrConnectionLost) || ctx.Err() != nil {
		return err
	}
	if rmErr := s.remove(ctx); rmErr != nil && err == nil {
		return rmErr
	}
	return err
}

func (s *Script) remove(ctx context.Context) error {
	command := "rm -f " + Quote(s.Path)
	if s.VarPath != "" {
		command += " " + Quote(s.VarPath)
	}
	if err := s.Machine.Run(ctx, &kiln.Cmd{Command: command}); err != nil {
		return fmt.Errorf("remove script from the machine: %w", err)
	}
	return nil
}

// RemoveAfterRestart removes the script once the machine answers again.
func (s *Script) RemoveAfterRestart(ctx context.Context) error {
	if s.Keep {
		return nil
	}
	return s.retry(ctx, func() error {
		err := s.remove(ctx)
		if errors.Is(err, kiln.ErrConnectionLost) {
			// It may have met the machine on its way down.
			return &kiln.StartError{Err: err}
		}
		return err
	})
}

// marker takes a line out of a stream that says that the script has begun. What
// came before it is no output of the script.
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

// words is what the machine said in place of beginning.
func (m *marker) words() string {
	if text := strings.TrimSpace(string(m.buf)); text != "" {
		return ": " + text
	}
	return ""
}
