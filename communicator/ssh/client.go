package ssh

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"kiln"
)

// client runs commands and moves files over one connection, which it makes again
// when it is lost between two uses.
type client struct {
	d *dialer

	mu     sync.Mutex
	link   *link
	spare  chan session // holds at most one session that was opened ahead
	closed bool
	noTar  bool // the machine has no tar

	oneByOne atomic.Bool // the server does not keep a session that was opened ahead
}

func newClient(d *dialer, l *link) *client {
	if d.answer == 0 {
		d.answer, d.stall = answerTime, stallTime
	}
	c := &client{d: d, link: l, spare: make(chan session, 1)}
	go c.prepare(l)
	return c
}

// Guest is what templates that use SSH count on: a POSIX shell.
func (c *client) Guest() kiln.Guest {
	return kiln.Guest{OS: kiln.OSUnix, Shell: kiln.ShellPOSIX, Terminal: c.d.cfg.PTY}
}

// session is one channel of a connection.
type session struct {
	ssh.Channel
	requests <-chan *ssh.Request
	link     *link
	ahead    bool // it was opened before it was needed
}

// shut reports whether the server has closed a session on which nothing was sent.
func (s session) shut() bool {
	select {
	case _, open := <-s.requests:
		return !open
	default:
		return false
	}
}

// prepare opens a session ahead, so that the next command saves a round trip. A
// server that allows no second one simply has none.
func (c *client) prepare(l *link) {
	if c.oneByOne.Load() {
		return
	}
	ch, reqs, err := l.OpenChannel("session", nil)
	if err != nil {
		return
	}
	select {
	case c.spare <- session{ch, reqs, l, true}:
	default:
		ch.Close()
	}
}

// current is the connection in use; a lost one is made again, once a call.
func (c *client) current(ctx context.Context) (*link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.New("the connection was closed")
	}
	if c.link != nil && c.link.alive() {
		return c.link, nil
	}
	if c.link != nil {
		c.link.end()
		c.link = nil
	}
	l, err := c.d.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect again: %w", err)
	}
	c.link = l
	return l, nil
}

// open gives a session: the one that was opened ahead, or a new one. Nothing has
// been sent on it.
func (c *client) open(ctx context.Context) (session, error) {
	for try := 0; ; try++ {
		l, err := c.current(ctx)
		if err != nil {
			return session{}, err
		}
		select {
		case s := <-c.spare:
			switch {
			case s.link != l || !l.alive():
			case s.shut():
				c.oneByOne.Store(true)
			default:
				go c.prepare(l)
				return s, nil
			}
			s.Close()
		default:
		}
		s, err := openOn(ctx, l, c.d.answer)
		if err == nil {
			go c.prepare(l)
			return s, nil
		}
		if errors.Is(err, errNoAnswer) {
			l.Close() // whoever uses it next would wait too
			return session{}, err
		}
		if ctx.Err() != nil || try > 0 || l.alive() && isRefused(err) {
			return session{}, err
		}
		l.Close()
	}
}

func isRefused(err error) bool {
	_, ok := errors.AsType[*ssh.OpenChannelError](err)
	return ok
}

var errNoAnswer = fmt.Errorf("%w: the server lives and does not answer", kiln.ErrConnectionLost)

// answered waits for a question to the server, but not for longer than ctx allows, nor
// for longer than an answer may take. Late is told an answer that comes after that.
func answered[T any](
	ctx context.Context, limit time.Duration, ask func() (T, error), late func(T),
) (answer T, err error) {
	type result struct {
		answer T
		err    error
	}
	got := make(chan result, 1)
	go func() {
		answer, err := ask()
		got <- result{answer, err}
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case r := <-got:
		return r.answer, r.err
	case <-timer.C:
		err = errNoAnswer
	case <-ctx.Done():
		err = ctx.Err()
	}
	go func() {
		if r := <-got; r.err == nil {
			late(r.answer)
		}
	}()
	return answer, err
}

// openOn opens a session.
func openOn(ctx context.Context, l *link, limit time.Duration) (session, error) {
	return answered(ctx, limit, func() (session, error) {
		ch, reqs, err := l.OpenChannel("session", nil)
		return session{ch, reqs, l, false}, err
	}, func(s session) { s.Close() })
}

// Run runs a command line.
func (c *client) Run(ctx context.Context, cmd *kiln.Cmd) error {
	return c.run(ctx, cmd, c.d.cfg.PTY)
}

// run runs a command line, under a pseudo terminal if asked for. Transfers go
// without: a terminal is not a clean stream.
func (c *client) run(ctx context.Context, cmd *kiln.Cmd, pty bool) error {
	var s session
	err := retryRefused(ctx, func() (err error) {
		s, err = c.open(ctx)
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &kiln.StartError{Err: err}
	}
	err = c.runOn(ctx, s, cmd, pty)
	if errors.Is(err, errShut) {
		c.oneByOne.Store(true)
		return c.run(ctx, cmd, pty)
	}
	return err
}

// errShut is that the server closed a session that was opened ahead, before it heard of the
// command.
var errShut = errors.New("the session was closed before it was used")

func (c *client) runOn(ctx context.Context, s session, cmd *kiln.Cmd, pty bool) error {
	defer s.Close()
	exit := make(chan error, 1)
	go func() { exit <- s.outcome() }()
	if err := c.begin(ctx, s, cmd.Command, pty); err != nil {
		return err
	}
	stdout, stderr := &gate{to: cmd.Stdout}, &gate{to: cmd.Stderr}
	defer stdout.shut()
	defer stderr.shut()
	stopped := context.AfterFunc(ctx, func() {
		// Ask first. OpenSSH passes signals on where the user is not root; what runs on
		// is ended by whoever knows its processes.
		_, _ = s.SendRequest("signal", false, ssh.Marshal(struct{ Name string }{"TERM"}))
		s.Close()
	})
	defer stopped()
	var out sync.WaitGroup
	out.Go(func() { drain(stdout, s) })
	out.Go(func() { drain(stderr, s.Stderr()) })
	sent := make(chan error, 1)
	go func() {
		var err error
		if cmd.Stdin != nil {
			_, err = io.CopyBuffer(struct{ io.Writer }{s}, cmd.Stdin, make([]byte, copySize))
		}
		_ = s.CloseWrite() // the command may have ended already
		sent <- err
	}()
	done := make(chan struct{})
	go func() { out.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	var err error
	select {
	case err = <-exit:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		return unread(cmd, sent)
	}
	if errors.Is(err, kiln.ErrConnectionLost) && !s.link.endsWithin(ctx, endWait) {
		return fmt.Errorf("%w: the server ended the session without an exit status", kiln.ErrConnectionLost)
	}
	return err
}

// unread is the error of reading the input, for a command that ended well. That
// the command did not read all of it is not an error.
func unread(cmd *kiln.Cmd, sent <-chan error) error {
	if cmd.Stdin == nil {
		return nil
	}
	select {
	case err := <-sent:
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read input: %w", err)
		}
	default:
	}
	return nil
}

const copySize = 256 << 10

// begin starts the command on a session.
func (c *client) begin(ctx context.Context, s session, command string, pty bool) error {
	_, err := answered(ctx, c.d.answer, func() (struct{}, error) {
		return struct{}{}, request(s, command, pty)
	}, func(struct{}) {})
	switch {
	case errors.Is(err, errNoAnswer):
		s.link.Close()
	case errors.Is(err, io.EOF) && s.ahead && !s.link.endsWithin(ctx, endWait):
		// One that runs the command answers before it closes the session.
		return errShut
	}
	return err
}

func request(s session, command string, pty bool) error {
	if pty {
		// 40 rows of 80 columns, no echo, 14400 baud: docs/compat/communicators.md 3.
		modes := []byte{53, 0, 0, 0, 0, 128, 0, 0, 0x38, 0x40, 129, 0, 0, 0x38, 0x40, 0}
		ok, err := s.SendRequest("pty-req", true, ssh.Marshal(struct {
			Term             string
			Cols, Rows, W, H uint32
			Modes            string
		}{"xterm", 80, 40, 640, 480, string(modes)}))
		if err != nil || !ok {
			return &kiln.StartError{Err: errors.Join(errors.New("the server gives no pseudo terminal"), err)}
		}
	}
	ok, err := s.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{command + "\n"}))
	switch {
	case err != nil:
		// The request may have arrived: the command may run or have run.
		return fmt.Errorf("%w: %w", kiln.ErrConnectionLost, err)
	case !ok:
		return &kiln.StartError{Err: errors.New("the server refused to run the command")}
	}
	return nil
}

// outcome waits for the end of the command and says what it was.
func (s session) outcome() error {
	err := fmt.Errorf("%w while the command ran", kiln.ErrConnectionLost)
	for req := range s.requests {
		switch req.Type {
		case "exit-status":
			err = nil
			if len(req.Payload) >= 4 {
				if code := binary.BigEndian.Uint32(req.Payload); code != 0 {
					err = &kiln.ExitError{Code: int(code)}
				}
			}
		case "exit-signal":
			var sig struct {
				Name string
				Core bool
				Text string
				Lang string
			}
			_ = ssh.Unmarshal(req.Payload, &sig) // an odd one has no name
			err = &kiln.ExitError{Code: 128 + signals[sig.Name], Signal: sig.Name}
		}
		if req.WantReply {
			_ = req.Reply(false, nil)
		}
	}
	return err
}

var signals = map[string]int{
	"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "KILL": 9, "USR1": 10, "SEGV": 11, "USR2": 12,
	"PIPE": 13, "ALRM": 14, "TERM": 15,
}

// drain copies output; an error of the receiver does not stop the command.
func drain(to io.Writer, from io.Reader) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				to = io.Discard
			}
		}
		if err != nil {
			return
		}
	}
}

// gate passes output on until it is shut: what a command says after its caller was
// cancelled is nobody's any more.
type gate struct {
	to   io.Writer // nil: nobody listens
	done atomic.Bool
}

func (g *gate) Write(p []byte) (int, error) {
	if g.to == nil || g.done.Load() {
		return len(p), nil
	}
	return g.to.Write(p)
}

func (g *gate) shut() { g.done.Store(true) }

// Close ends the connection. Where the template asks for it, the temporary key is
// first taken out of the machine's authorized keys.
func (c *client) Close() error {
	if c.d.cfg.ClearAuthorizedKeys && c.d.cfg.TemporaryKeyPairName != "" {
		c.clearKeys()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	if c.link != nil {
		c.link.end()
	}
	return nil
}

// clearKeys removes the temporary key; a machine that is gone keeps it.
func (c *client) clearKeys() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	name := c.d.cfg.TemporaryKeyPairName
	for _, file := range []struct{ sudo, path string }{
		{"", "~/.ssh/authorized_keys"}, {"sudo ", "/root/.ssh/authorized_keys"},
	} {
		command := fmt.Sprintf("%[1]ssed -i.bak '/ %[2]s$/d' %[3]s; %[1]srm %[3]s.bak", file.sudo, name, file.path)
		_ = c.Run(ctx, &kiln.Cmd{Command: command})
	}
}

// retryRefused tries again while the server refuses new sessions: it may be at its
// limit of them.
func retryRefused(ctx context.Context, try func() error) error {
	pause := 20 * time.Millisecond
	for range 8 {
		err := try()
		if !isRefused(err) {
			return err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		pause *= 2
	}
	return try()
}
