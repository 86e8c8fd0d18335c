// Package vnc types on the keyboard of a machine through its VNC server: as much of RFB
// 3.8 (RFC 6143) as that takes.
package vnc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// A Client is connected to a VNC server that has let it in. It is used by one goroutine
// at a time, and is of no use any more once a context ended in the midst of a call.
type Client struct {
	conn net.Conn
	addr string
	gone chan struct{} // closed when the server has ended the connection
	why  error         // set before that
}

// What a server that is alive may take.
const (
	greeting = 30 * time.Second // to let us in
	farewell = 5 * time.Second  // to read the last of what it was sent
)

// Dial connects to the VNC server at addr, HOST:PORT, once. The password is used where the
// server wants one; its first 8 bytes count.
func Dial(ctx context.Context, addr, password string) (*Client, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, greeting, fmt.Errorf("no answer for %s", greeting))
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%s: %w", addr, context.Cause(ctx))
		}
		return nil, fmt.Errorf("Error connecting to VNC: %w", err)
	}
	if err := until(ctx, conn, func() error { return handshake(conn, password) }); err != nil {
		conn.Close() // of no use
		return nil, fmt.Errorf("Error handshaking with VNC: %s: %w", addr, err)
	}
	c := &Client{conn: conn, addr: addr, gone: make(chan struct{})}
	go c.listen()
	return c, nil
}

// until does what reads or writes a connection until the context ends.
func until(ctx context.Context, conn net.Conn, do func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err := do()
	if !stop() || errors.Is(err, os.ErrDeadlineExceeded) {
		return context.Cause(ctx)
	}
	return err
}

// listen reads what the server says of its own accord, such as a bell: one that is not
// listened to stops reading in the end.
func (c *Client) listen() {
	_, err := io.Copy(io.Discard, c.conn)
	if err == nil {
		err = io.EOF
	}
	c.why = err
	close(c.gone)
}

// Key tells the server that a key goes down or up. A server takes as many as it is sent;
// how fast they may come is a matter of its machine.
func (c *Client) Key(ctx context.Context, keysym uint32, down bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-c.gone:
		return fmt.Errorf("the VNC server at %s has ended the connection: %w", c.addr, c.why)
	default:
	}
	event := []byte{4, 0, 0, 0, 0, 0, 0, 0}
	if down {
		event[1] = 1
	}
	binary.BigEndian.PutUint32(event[4:], keysym)
	err := until(ctx, c.conn, func() error {
		_, err := c.conn.Write(event)
		return err
	})
	if err != nil {
		return fmt.Errorf("type over VNC at %s: %w", c.addr, err)
	}
	return nil
}

// Close ends the connection when the server has read all that it was sent, which it shows
// by ending it too. It waits for that no longer than a server can take that is alive.
func (c *Client) Close(ctx context.Context) error {
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		timer := time.NewTimer(farewell)
		defer timer.Stop()
		select {
		case <-c.gone:
		case <-ctx.Done():
		case <-timer.C:
		}
	}
	err := c.conn.Close()
	<-c.gone
	return err
}
