package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kiln"
)

// Nobody waits without an end for a server that lives and does nothing.
const (
	// answerTime is how long a question may wait for its answer. A busy machine takes
	// its time.
	answerTime = time.Minute
	// stallTime is how long nothing of a file may move; at the end of it the machine
	// gets a second more for each so many bytes, to put them into their place.
	stallTime    = 5 * time.Minute
	bytesASecond = 4 << 20
)

// Nobody listens without an end either.
const (
	mostTalk  = 64 << 10 // of a message
	mostNoise = 64 << 20 // of what a program complains of beside its work
)

var (
	errStalled = fmt.Errorf("%w: nothing of the file moves any more", kiln.ErrConnectionLost)
	errTalk    = errors.New("the machine does not keep to the protocol")
)

// send runs a command that takes a stream, and may answer.
func (c *client) send(ctx context.Context, command string, in io.Reader, answers io.Writer) error {
	return c.transfer(ctx, func(w *watchdog) *kiln.Cmd {
		return &kiln.Cmd{Command: command, Stdin: w.reader(in), Stdout: answers}
	})
}

// fetch runs a command that gives a stream, and may be asked for it.
func (c *client) fetch(ctx context.Context, command string, out io.Writer, requests io.Reader) error {
	return c.transfer(ctx, func(w *watchdog) *kiln.Cmd {
		return &kiln.Cmd{Command: command, Stdin: requests, Stdout: &watchedWriter{w, out}}
	})
}

// transfer runs a command that moves files, and adds what it complained of to its error.
// An error of the local side wins over the remote one that it leads to.
func (c *client) transfer(ctx context.Context, make func(*watchdog) *kiln.Cmd) error {
	ctx, w := watch(ctx, c.d.stall)
	defer w.stop()
	cmd, complaints := make(w), &noise{cancel: w.cancel}
	cmd.Stderr = complaints
	err := c.run(ctx, cmd, false)
	if why := w.why(ctx); why != nil {
		return why
	}
	return complaints.add(err)
}

// watchdog ends a transfer in which nothing moves on the machine's side.
type watchdog struct {
	timer  *time.Timer
	limit  time.Duration
	moved  atomic.Int64
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	local error // of the stream's end on this machine
}

func watch(ctx context.Context, limit time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &watchdog{
		timer: time.AfterFunc(limit, func() { cancel(errStalled) }), limit: limit, cancel: cancel,
	}
}

func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// why says why the transfer was ended, if it was not the machine that ended it.
func (w *watchdog) why(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.local != nil {
		return w.local
	}
	if cause := context.Cause(ctx); errors.Is(cause, errStalled) || errors.Is(cause, errTalk) {
		return cause
	}
	return nil
}

// here runs what waits for this machine only: meanwhile nothing is expected.
func (w *watchdog) here(do func() (int, error)) (int, error) {
	w.timer.Stop()
	n, err := do()
	moved := w.moved.Add(int64(n))
	limit := w.limit
	if err == io.EOF {
		limit += time.Duration(moved/bytesASecond) * time.Second
	} else if err != nil {
		w.mu.Lock()
		w.local = err
		w.mu.Unlock()
	}
	w.timer.Reset(limit)
	return n, err
}

func (w *watchdog) reader(r io.Reader) io.Reader { return &watchedReader{w, r} }

type watchedReader struct {
	w *watchdog
	r io.Reader
}

func (r *watchedReader) Read(p []byte) (int, error) {
	return r.w.here(func() (int, error) { return r.r.Read(p) })
}

type watchedWriter struct {
	w  *watchdog
	to io.Writer
}

func (w *watchedWriter) Write(p []byte) (int, error) {
	n, err := w.w.here(func() (int, error) { return w.to.Write(p) })
	if err != nil {
		w.w.cancel(err) // nobody takes the rest
	}
	return n, err
}

// session passes on what goes over a session, as signs that something moves.
type watchedSession struct {
	session
	w *watchdog
}

func (s watchedSession) Read(p []byte) (int, error) {
	n, err := s.session.Read(p)
	s.w.timer.Reset(s.w.limit)
	return n, err
}

func (s watchedSession) Write(p []byte) (int, error) {
	n, err := s.session.Write(p)
	s.w.timer.Reset(s.w.limit)
	return n, err
}

// noise is what a program complains of beside its work: the beginning of it is kept.
type noise struct {
	cancel context.CancelCauseFunc

	mu   sync.Mutex
	kept bytes.Buffer
	all  int
}

func (n *noise) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kept.Write(p[:min(len(p), mostTalk-n.kept.Len())])
	if n.all += len(p); n.all > mostNoise {
		n.cancel(fmt.Errorf("%w: its complaints have no end", errTalk))
	}
	return len(p), nil
}

// add adds what was said to an error.
func (n *noise) add(err error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	text := strings.TrimSpace(strings.ToValidUTF8(n.kept.String(), "\uFFFD"))
	if err == nil || text == "" {
		return err
	}
	const most = 2000
	if len(text) > most {
		text = strings.ToValidUTF8(text[len(text)-most:], "")
	}
	if _, ok := errors.AsType[*kiln.ExitError](err); ok {
		return &complaint{text, err}
	}
	return fmt.Errorf("%w: %s", err, text)
}

// complaint is why a program ended with a code: in its own words.
type complaint struct {
	text string
	exit error
}

func (c *complaint) Error() string { return c.text }
func (c *complaint) Unwrap() error { return c.exit }
