package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"kiln"
)

// Exit codes of our own command line, before the script begins.
const (
	codeNoFolder = 72
	codeTaken    = 73
	codePart     = 74
)

// atOnce brings and runs the script by one command, on whose standard input everything
// comes: the user's command line, the variables, the script. So the values of variables
// stand in no process's arguments.
func (s *Script) atOnce(ctx context.Context, command string, text []byte, vars string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	mark := "kiln-started-" + kiln.RandomName(12)
	// It ends in the mark, so that a part of it is never taken for the whole.
	run := "unset kiln_run\n" + command + "\n#" + mark
	stdout, stderr := s.Build.Output(kiln.EventOut), s.Build.Output(kiln.EventErr)
	begun := &marker{mark: []byte(mark), out: stderr, tooMuch: cancel}
	err := s.Machine.Run(ctx, &kiln.Cmd{
		Command: InLoginShell(s.loader(mark, len(run), len(vars), len(text))),
		Stdin:   io.MultiReader(strings.NewReader(run), strings.NewReader(vars), bytes.NewReader(text)),
		Stdout:  stdout, Stderr: begun,
	})
	stdout.Close()
	seen, group := begun.state()
	if s.group = ""; ctx.Err() != nil && !errors.Is(err, kiln.ErrConnectionLost) {
		s.group = group // after a restart the number may be another's
	}
	if cause := context.Cause(ctx); errors.Is(cause, errNoise) {
		return fmt.Errorf("upload script to %s: %w: %w", s.Path, ErrNotBegun, cause)
	}
	if !seen && ctx.Err() == nil {
		return s.notBegun(err, begun.words())
	}
	begun.flush()
	stderr.Close()
	return err
}

// loader is a command line that takes all from its input, sees that all of it has come,
// says that it begins, runs the script and removes what it brought.
func (s *Script) loader(mark string, runBytes, varBytes, textBytes int) string {
	var b strings.Builder
	path, vars, drop := QuotePath(s.Path), "", ""
	fmt.Fprintf(&b, "[ -d %s ] || exit %d\n", QuotePath(s.folder()), codeNoFolder)
	fmt.Fprintf(&b, "kiln_run=$(dd bs=1 count=%d 2>/dev/null) || { echo 'dd does not work' >&2; exit 1; }\n",
		runBytes)
	fmt.Fprintf(&b, "case $kiln_run in *%s) ;; *) exit %d ;; esac\n", mark, codePart)
	if s.VarPath != "" {
		vars = " " + QuotePath(s.VarPath)
		drop = "rm -f" + vars + "; "
		fmt.Fprintf(&b, "( umask 077; rm -f%[1]s; set -C; dd bs=1 count=%[2]d 2>/dev/null >%[1]s ) || exit 1\n",
			vars, varBytes)
		b.WriteString(whole(vars, varBytes, drop))
	}
	if s.Fresh {
		// In a folder that all may write, somebody may have put a link there.
		fmt.Fprintf(&b, "if [ -e %[1]s ] || [ -L %[1]s ]; then %[2]sexit %[3]d; fi\n", path, drop, codeTaken)
		fmt.Fprintf(&b, "( set -C; : >%s ) || { %sexit 1; }\n", path, drop)
	}
	drop = "rm -f " + path + vars + "; "
	fmt.Fprintf(&b, "cat >%s || { %sexit 1; }\n", path, drop)
	b.WriteString(whole(path, textBytes, drop))
	fmt.Fprintf(&b, "chmod 0755 %s || { %sexit 1; }\n", path, drop)
	fmt.Fprintf(&b, "echo %s $$ >&2\n", mark)
	// A sub-shell, so that an exit in execute_command does not skip the rest.
	b.WriteString("( eval \"$kiln_run\" ) </dev/null\n")
	if !s.Keep {
		fmt.Fprintf(&b, "kiln_code=$?; %sexit $kiln_code\n", drop)
	}
	return b.String()
}

// whole is a command line that ends, and drops what came, if a file is not of this size.
func whole(path string, bytes int, drop string) string {
	return fmt.Sprintf("kiln_size=$(wc -c <%[1]s) || { %[3]sexit 1; }\n"+
		"[ \"$kiln_size\" -eq %[2]d ] || { %[3]sexit %[4]d; }\n", path, bytes, drop, codePart)
}

// notBegun says why the script did not begin; err may be nil.
func (s *Script) notBegun(err error, words string) error {
	var exit *kiln.ExitError
	switch {
	case err == nil:
		// A login shell that is no shell answers so, such as git's.
		err = errors.New("the machine ran something else and called that success")
	case !errors.As(err, &exit):
	case exit.Code == codeNoFolder:
		err, words = s.noFolder(), ""
	case exit.Code == codeTaken:
		err, words = ErrTaken, ""
	case exit.Code == codePart:
		err = fmt.Errorf("only a part of it arrived: %w", kiln.ErrConnectionLost)
	}
	return fmt.Errorf("upload script to %s: %w: %w%s", s.Path, ErrNotBegun, err, words)
}

// marker takes a line out of a stream that says that the script has begun, and as which
// process. What came before it is no output of the script.
type marker struct {
	mark    []byte
	out     io.Writer
	tooMuch func(error)

	mu   sync.Mutex
	seen bool
	pid  string
	buf  []byte
}

// mostNoise is how much a machine may write before the script begins.
const mostNoise = 1 << 20

var errNoise = fmt.Errorf("the machine wrote more than %d bytes before the script began", mostNoise)

// Write holds back what may be the mark.
func (m *marker) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen {
		return m.out.Write(p)
	}
	if len(m.buf) > mostNoise {
		m.tooMuch(errNoise)
		return len(p), nil
	}
	// What was searched already is not searched again, but for a mark that it begins.
	from := max(0, len(m.buf)-len(m.mark)-mostDigits)
	m.buf = append(m.buf, p...)
	i := bytes.Index(m.buf[from:], m.mark)
	if i < 0 {
		return len(p), nil
	}
	i += from
	line, after, ended := bytes.Cut(m.buf[i+len(m.mark):], []byte("\n"))
	if !ended {
		return len(p), nil
	}
	if pid := bytes.TrimSpace(line); len(pid) < mostDigits && len(bytes.Trim(pid, "0123456789")) == 0 {
		m.pid = string(pid)
	}
	m.seen = true
	rest := append(m.buf[:i:i], after...)
	m.buf = nil
	if _, err := m.out.Write(rest); err != nil {
		return 0, err
	}
	return len(p), nil
}

// mostDigits is how long the number of a process may be, with the blank before it.
const mostDigits = 20

// state reports whether the script has begun, and the number of the group that its
// processes are in: under an SSH server each command has one of its own.
func (m *marker) state() (seen bool, group string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen, m.pid
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
	const most = 2000
	text := bytes.TrimSpace(m.buf)
	if len(text) > most {
		text = text[len(text)-most:]
	}
	if len(text) == 0 {
		return ""
	}
	return ": " + string(text)
}
