package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// An Event is what the emulator tells of its machine.
type Event struct {
	Name string          `json:"event"` // SHUTDOWN, RESET, GUEST_PANICKED, STOP ...
	Data json.RawMessage `json:"data"`
}

// QMP is a connection to the emulator's monitor. Its methods may be called from several
// goroutines.
type QMP struct {
	conn   io.ReadWriteCloser
	events func(Event)

	writing sync.Mutex // one command at a time

	mu      sync.Mutex
	next    int
	waiting map[string]chan reply
	gone    chan struct{} // closed when nothing more comes
	why     error         // set before that
}

type reply struct {
	result json.RawMessage
	err    error
}

// message is any line that the monitor sends.
type message struct {
	Greeting json.RawMessage `json:"QMP"`
	Return   json.RawMessage `json:"return"`
	Error    *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	ID string `json:"id"`
	Event
}

// DialQMP connects to the monitor at a socket of the file system. Events is told what
// happens to the machine, one after the other; nil: nobody is.
func DialQMP(ctx context.Context, path string, events func(Event)) (*QMP, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("Error opening QMP socket: %w", err)
	}
	q, err := NewQMP(ctx, conn, events)
	if err != nil {
		return nil, fmt.Errorf("Error opening QMP socket: %s: %w", path, err)
	}
	return q, nil
}

// NewQMP greets the monitor at the other end of a connection, which it closes where that
// fails. When it returns, the emulator has set up its machine.
func NewQMP(ctx context.Context, conn io.ReadWriteCloser, events func(Event)) (*QMP, error) {
	if events == nil {
		events = func(Event) {}
	}
	q := &QMP{conn: conn, events: events, waiting: map[string]chan reply{}, gone: make(chan struct{})}
	greeted := make(chan struct{})
	go q.listen(greeted)
	var err error
	select {
	case <-greeted:
		_, err = q.Execute(ctx, "qmp_capabilities", nil)
	case <-q.gone:
		err = q.why
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		q.Close()
		return nil, err
	}
	return q, nil
}

// maxMessage bounds a line: what is longer is no answer of a monitor.
const maxMessage = 16 << 20

func (q *QMP) listen(greeted chan struct{}) {
	lines := bufio.NewScanner(q.conn)
	lines.Buffer(nil, maxMessage)
	said := false
	q.why = io.ErrUnexpectedEOF
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			q.why = fmt.Errorf("not a QMP monitor: %w", err)
			break
		}
		switch {
		case m.Greeting != nil:
			if !said {
				said = true
				close(greeted)
			}
		case m.Name != "":
			q.events(m.Event)
		default:
			q.answer(m)
		}
	}
	if err := lines.Err(); err != nil {
		q.why = err
	}
	close(q.gone)
}

// answer hands an answer to who waits for it.
func (q *QMP) answer(m message) {
	r := reply{result: m.Return}
	if m.Error != nil {
		r.err = errors.New(m.Error.Desc)
	}
	q.mu.Lock()
	who := q.waiting[m.ID]
	delete(q.waiting, m.ID)
	q.mu.Unlock()
	if who != nil {
		who <- r
	}
}

// Execute runs a command with its arguments, which may be nil, and returns its result.
func (q *QMP) Execute(ctx context.Context, command string, arguments any) (json.RawMessage, error) {
	answer := make(chan reply, 1)
	q.mu.Lock()
	q.next++
	id := strconv.Itoa(q.next)
	q.waiting[id] = answer
	q.mu.Unlock()
	line, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
		ID        string `json:"id"`
	}{command, arguments, id})
	if err == nil {
		q.writing.Lock()
		_, err = q.conn.Write(append(line, '\n'))
		q.writing.Unlock()
	}
	if err != nil {
		q.mu.Lock()
		delete(q.waiting, id)
		q.mu.Unlock()
		q.Close() // the other end has gone: whoever asks is to see that, too
		return nil, fmt.Errorf("QMP %s: %w", command, err)
	}
	var r reply
	select {
	case r = <-answer:
	case <-ctx.Done():
		r.err = context.Cause(ctx)
	case <-q.gone:
		select {
		case r = <-answer: // it came before the end
		default:
			r.err = q.why
		}
	}
	if r.err != nil {
		return nil, fmt.Errorf("QMP %s: %w", command, r.err)
	}
	return r.result, nil
}

// Stop pauses the machine.
func (q *QMP) Stop(ctx context.Context) error { return q.do(ctx, "stop", nil) }

// Continue lets a paused machine go on.
func (q *QMP) Continue(ctx context.Context) error { return q.do(ctx, "cont", nil) }

// Quit ends the emulator at once, with its disks in order; what the guest has not written
// yet is lost.
func (q *QMP) Quit(ctx context.Context) error { return q.do(ctx, "quit", nil) }

// SetVNCPassword sets the password of the screen, of which 8 bytes count.
func (q *QMP) SetVNCPassword(ctx context.Context, password string) error {
	return q.do(ctx, "change-vnc-password", map[string]string{"password": password})
}

func (q *QMP) do(ctx context.Context, command string, arguments any) error {
	_, err := q.Execute(ctx, command, arguments)
	return err
}

// Gone is closed when the monitor has ended the connection.
func (q *QMP) Gone() <-chan struct{} { return q.gone }

// Close ends the connection. The machine goes on.
func (q *QMP) Close() {
	q.conn.Close()
	select {
	case <-q.gone:
	case <-time.After(time.Second): // a connection that cannot be interrupted
	}
}
