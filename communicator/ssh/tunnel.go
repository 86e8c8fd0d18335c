package ssh

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh/agent"
)

// setUp starts on a new connection what the configuration asks for besides: the
// agent, tunnels, and the watch over whether it lives.
func (d *dialer) setUp(l *link) error {
	if !d.cfg.DisableAgentForwarding && os.Getenv("SSH_AUTH_SOCK") != "" {
		// Without an agent, or with a server that does not forward, the machine is
		// as good as without.
		if err := agent.ForwardToRemote(l.Client, os.Getenv("SSH_AUTH_SOCK")); err == nil {
			if s, err := l.NewSession(); err == nil {
				_ = agent.RequestAgentForwarding(s)
				l.closers = append(l.closers, func() { s.Close() })
			}
		}
	}
	for _, t := range d.cfg.RemoteTunnels {
		listen, dial, err := parseTunnel(t)
		if err != nil {
			return &permanentError{err}
		}
		ln, err := l.Listen("tcp", listen)
		if err != nil {
			return fmt.Errorf("remote tunnel %s: %w", t, err)
		}
		l.serve(ln, func() (net.Conn, error) { return net.DialTimeout("tcp", dial, dialTimeout) })
	}
	for _, t := range d.cfg.LocalTunnels {
		listen, dial, err := parseTunnel(t)
		if err != nil {
			return &permanentError{err}
		}
		ln, err := net.Listen("tcp", listen)
		if err != nil {
			return fmt.Errorf("local tunnel %s: %w", t, err)
		}
		l.serve(ln, func() (net.Conn, error) { return l.Dial("tcp", dial) })
	}
	if d.cfg.KeepAliveInterval > 0 {
		go l.keepAlive(d.cfg.KeepAliveInterval)
	}
	return nil
}

// serve connects all who come to a listener with what dial gives.
func (l *link) serve(ln net.Listener, dial func() (net.Conn, error)) {
	l.closers = append(l.closers, func() { ln.Close() })
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := dial()
				if err != nil {
					return
				}
				defer out.Close()
				couple(in, out)
			}()
		}
	}()
}

// couple copies both ways until both have ended.
func couple(a, b net.Conn) {
	var wg sync.WaitGroup
	for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
		wg.Go(func() {
			// An end of either kind is the end of this direction.
			_, _ = io.Copy(pair[0], pair[1])
			if c, ok := pair[0].(interface{ CloseWrite() error }); ok {
				_ = c.CloseWrite()
			} else {
				pair[0].Close()
			}
		})
	}
	wg.Wait()
}

// unanswered is how long the machine may leave a question without an answer
// before the connection counts as lost. A busy machine takes its time.
const unanswered = time.Minute

// keepAlive asks the server for a sign of life, which also keeps routers from
// forgetting the connection, and ends it when no answer comes.
func (l *link) keepAlive(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	answered := make(chan error, 1)
	waiting := time.Time{}
	for {
		select {
		case <-l.dead:
			return
		case err := <-answered:
			if err != nil {
				l.Close()
				return
			}
			waiting = time.Time{}
		case now := <-ticker.C:
			if waiting.IsZero() {
				waiting = now
				go func() {
					_, _, err := l.SendRequest("keepalive@openssh.com", true, nil)
					answered <- err
				}()
			} else if now.Sub(waiting) > max(unanswered, 3*every) {
				l.Close()
				return
			}
		}
	}
}
