package ssh

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"time"

	"kiln/communicator"
)

const (
	// silence is how long a forwarder's connection may be silent until another one is tried
	// beside it.
	silence = time.Second
	// mostSilent are the connections that wait for a word at one time; servers refuse more
	// than ten.
	mostSilent = 8
)

// errSilent is a server that takes connections, and says nothing.
var errSilent = errors.New("Timeout during SSH handshake")

// forwarded reports whether connections may be taken by something that leads to a machine,
// such as QEMU or the NAT of VirtualBox, and not by the machine.
func (d *dialer) forwarded(host string) bool {
	ip := net.ParseIP(host)
	return d.ladder != nil && d.cfg.BastionHost == "" && d.cfg.ProxyHost == "" &&
		(host == "localhost" || ip != nil && ip.IsLoopback())
}

// speaking opens a connection through a forwarder, and returns when the server has begun
// to speak. A forwarder takes connections before the machine does, and asks it again and
// again, ever more rarely: a connection that is too early learns only long after that the
// machine answers by now. So a new one is tried each second, and the first word counts.
func (d *dialer) speaking(ctx context.Context, addr string, l *link) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, handshakeTimeout, errSilent)
	defer cancel()
	type answer struct {
		conn net.Conn
		err  error
	}
	answers, opened := make(chan answer), make(chan struct{})
	var ends []context.CancelFunc // of the tries, oldest first
	open := 0
	try := func() {
		one, end := context.WithCancel(ctx)
		ends = append(ends, end)
		open++
		go func() {
			conn, err := d.heardFirst(one, addr, l, opened)
			select {
			case answers <- answer{conn, err}:
			case <-ctx.Done():
				if conn != nil {
					conn.Close()
				}
			}
		}()
	}
	try()
	tick := time.NewTicker(silence)
	defer tick.Stop()
	for {
		select {
		case <-opened:
			d.ladder.Reach(communicator.Port, "")
		case a := <-answers:
			if open--; a.err == nil || open == 0 {
				return a.conn, a.err
			}
		case <-tick.C:
			if len(ends) >= mostSilent {
				// The first stays: some servers are slow to speak, and speak to each
				// connection as late.
				ends[1]()
				ends = append(ends[:1:1], ends[2:]...)
			}
			try()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// heardFirst opens one connection, says so, and waits for the server's first byte.
func (d *dialer) heardFirst(ctx context.Context, addr string, l *link, opened chan<- struct{}) (net.Conn, error) {
	conn, err := d.reach(ctx, addr, l)
	if err != nil {
		return nil, err
	}
	select {
	case opened <- struct{}{}:
	case <-ctx.Done():
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	in := bufio.NewReader(conn)
	// A connection that ends without a word is left to the handshake: it says so.
	_, err = in.Peek(1)
	if !stop() {
		conn.Close()
		return nil, context.Cause(ctx)
	}
	if err != nil && err != io.EOF {
		conn.Close()
		return nil, err
	}
	return &buffered{conn, in}, nil
}
