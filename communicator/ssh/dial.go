package ssh

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/net/proxy"

	"kiln"
	"kiln/communicator"
)

const (
	dialTimeout      = 15 * time.Second
	handshakeTimeout = time.Minute
)

// dialer makes connections to one machine.
type dialer struct {
	cfg    *Config
	b      *kiln.Build
	target kiln.Target
	ladder *communicator.Ladder // nil: nobody waits for the machine to come up

	answer, stall time.Duration // how long to wait for a server that does nothing
}

// link is a connection with what belongs to it.
type link struct {
	*ssh.Client
	dead    chan struct{} // closed when the connection has ended
	closers []func()
}

// end closes the connection and all that belongs to it.
func (l *link) end() {
	l.Close()
	for i := len(l.closers) - 1; i >= 0; i-- {
		l.closers[i]()
	}
}

// alive reports whether the connection has not ended yet.
func (l *link) alive() bool {
	select {
	case <-l.dead:
		return false
	default:
		return true
	}
}

// endWait is how long a connection may outlive the last of its channels.
const endWait = 200 * time.Millisecond

// endsWithin reports whether the connection ends soon. Its channels end a moment
// before it does, and whoever uses it next must not find it alive by that.
func (l *link) endsWithin(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-l.dead:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// dial makes one connection: no more than one handshake with the machine.
func (d *dialer) dial(ctx context.Context) (*link, error) {
	host, err := d.target.Host(ctx)
	if err != nil {
		return nil, err
	}
	l := &link{dead: make(chan struct{})}
	addr := net.JoinHostPort(host, strconv.Itoa(d.target.Port))
	d.ladder.Reach(communicator.Address, addr)
	open := d.reach
	if d.forwarded(host) {
		open = d.speaking
	}
	conn, err := open(ctx, addr, l)
	if err != nil {
		l.closeAll()
		return nil, err
	}
	d.ladder.Reach(communicator.Port, "")
	if d.ladder != nil {
		conn = &heard{Conn: conn, ladder: d.ladder}
	}
	client, err := d.handshake(ctx, conn, addr)
	if err != nil {
		conn.Close()
		l.closeAll()
		return nil, err
	}
	d.ladder.Reach(communicator.In, "")
	l.Client = client
	go func() {
		_ = client.Wait() // why it ended is of no interest to those who wait on dead
		close(l.dead)
	}()
	setUpCtx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	stop := context.AfterFunc(setUpCtx, func() { l.Close() })
	defer stop()
	if err := d.setUp(l); err != nil {
		l.end()
		return nil, err
	}
	return l, nil
}

func (l *link) closeAll() {
	for _, c := range l.closers {
		c()
	}
}

// reach opens a connection to the address, through what the configuration says.
func (d *dialer) reach(ctx context.Context, addr string, l *link) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	plain := &net.Dialer{KeepAlive: 5 * time.Second}
	var conn net.Conn
	var err error
	switch {
	case d.cfg.BastionHost != "":
		conn, err = d.throughBastion(ctx, plain, addr, l)
	case strings.HasPrefix(d.cfg.ProxyHost, "http://"):
		conn, err = d.throughHTTP(ctx, plain, addr)
	case d.cfg.ProxyHost != "":
		conn, err = d.throughSOCKS(ctx, plain, addr)
	default:
		conn, err = plain.DialContext(ctx, "tcp", addr)
	}
	if err == nil && d.cfg.ReadWriteTimeout > 0 {
		conn = &timed{conn, d.cfg.ReadWriteTimeout}
	}
	return conn, err
}

func (d *dialer) throughBastion(
	ctx context.Context,
	plain *net.Dialer,
	addr string,
	l *link,
) (net.Conn, error) {
	bastion := net.JoinHostPort(d.cfg.BastionHost, strconv.Itoa(d.cfg.BastionPort))
	conn, err := plain.DialContext(ctx, "tcp", bastion)
	if err != nil {
		return nil, fmt.Errorf("bastion: %w", err)
	}
	cfg := d.clientConfig(d.cfg.BastionUsername)
	cfg.Auth, err = d.bastionAuth(ctx)
	if err != nil {
		conn.Close()
		return nil, &permanentError{fmt.Errorf("bastion: %w", err)}
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	c, chans, reqs, err := ssh.NewClientConn(conn, bastion, cfg)
	stop()
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("bastion: %w", err)
	}
	client := ssh.NewClient(c, chans, reqs)
	l.closers = append(l.closers, func() { client.Close() })
	inner, err := client.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("bastion: %w", err)
	}
	return inner, nil
}

func (d *dialer) throughSOCKS(ctx context.Context, plain *net.Dialer, addr string) (net.Conn, error) {
	var auth *proxy.Auth
	if d.cfg.ProxyUsername != "" {
		auth = &proxy.Auth{User: d.cfg.ProxyUsername, Password: d.cfg.ProxyPassword}
	}
	s, err := proxy.SOCKS5("tcp", net.JoinHostPort(d.cfg.ProxyHost, strconv.Itoa(d.cfg.ProxyPort)), auth, plain)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	conn, err := s.(proxy.ContextDialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return conn, nil
}

func (d *dialer) throughHTTP(ctx context.Context, plain *net.Dialer, addr string) (net.Conn, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(d.cfg.ProxyHost, "http://"), "/")
	conn, err := plain.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(d.cfg.ProxyPort)))
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	req := "CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\n"
	if d.cfg.ProxyUsername != "" {
		req += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString(
			[]byte(d.cfg.ProxyUsername+":"+d.cfg.ProxyPassword),
		) + "\r\n"
	}
	if _, err = conn.Write([]byte(req + "\r\n")); err == nil {
		// The server speaks first in SSH, and only after the tunnel stands: what
		// the reader may hold beyond the answer is kept.
		limited := &io.LimitedReader{R: conn, N: 64 << 10}
		in := bufio.NewReader(limited)
		var resp *http.Response
		if resp, err = http.ReadResponse(in, &http.Request{Method: "CONNECT"}); err == nil &&
			resp.StatusCode/100 != 2 {
			err = fmt.Errorf("it answered %s", resp.Status)
		}
		if err == nil {
			limited.N = math.MaxInt64
			return &buffered{conn, in}, nil
		}
	}
	conn.Close()
	return nil, fmt.Errorf("proxy: %w", err)
}

type buffered struct {
	net.Conn
	in *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

// heard listens for the line by which a server says that it speaks SSH. Other lines may
// come before.
type heard struct {
	net.Conn
	ladder *communicator.Ladder
	line   []byte
	done   bool
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	for _, c := range p[:n] {
		switch {
		case h.done:
			return n, err
		case c != '\n':
			if len(h.line) < mostBanner {
				h.line = append(h.line, c)
			}
		case bytes.HasPrefix(h.line, []byte("SSH-")):
			h.ladder.Reach(communicator.Banner, string(h.line))
			h.done = true
		default:
			h.line = h.line[:0]
		}
	}
	return n, err
}

// mostBanner is what a line of a server may have, as RFC 4253 says.
const mostBanner = 255

// timed ends a connection on which nothing moves.
type timed struct {
	net.Conn
	limit time.Duration
}

func (t *timed) Read(p []byte) (int, error) {
	if err := t.SetReadDeadline(time.Now().Add(t.limit)); err != nil {
		return 0, err
	}
	return t.Conn.Read(p)
}

func (t *timed) Write(p []byte) (int, error) {
	if err := t.SetWriteDeadline(time.Now().Add(t.limit)); err != nil {
		return 0, err
	}
	return t.Conn.Write(p)
}

// permanentError must not be retried.
type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

func (d *dialer) clientConfig(user string) *ssh.ClientConfig {
	cfg := &ssh.ClientConfig{
		User:            user,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		Timeout:         handshakeTimeout,
	}
	cfg.Ciphers, cfg.KeyExchanges = d.cfg.Ciphers, d.cfg.KeyExchange
	return cfg
}

func (d *dialer) handshake(ctx context.Context, conn net.Conn, addr string) (*ssh.Client, error) {
	cfg := d.clientConfig(d.cfg.Username)
	var err error
	if cfg.Auth, err = d.auth(); err != nil {
		return nil, &permanentError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	c, chans, reqs, err := ssh.NewClientConn(conn, addr, cfg)
	if err != nil {
		if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			return nil, errors.New("Timeout during SSH handshake")
		}
		return nil, err
	}
	return ssh.NewClient(c, chans, reqs), nil
}

// auth offers every key in one method, as servers count methods: agent, key file,
// keys of the builder; then the password in both of its ways.
func (d *dialer) auth() ([]ssh.AuthMethod, error) {
	var signers []ssh.Signer
	var agentSigners func() ([]ssh.Signer, error)
	if d.cfg.AgentAuth {
		a, err := localAgent()
		if err != nil {
			return nil, fmt.Errorf("ssh_agent_auth: %w", err)
		}
		agentSigners = a.Signers
	}
	if d.cfg.PrivateKeyFile != "" {
		s, err := signer(d.cfg.PrivateKeyFile, d.cfg.CertificateFile)
		if err != nil {
			return nil, err
		}
		signers = append(signers, s)
	}
	for _, key := range d.target.Keys {
		s, err := ssh.ParsePrivateKey([]byte(key))
		if err == nil && d.cfg.CertificateFile != "" && d.cfg.PrivateKeyFile == "" {
			s, err = withCertificate(s, d.cfg.CertificateFile)
		}
		if err != nil {
			return nil, fmt.Errorf("key of the build: %w", err)
		}
		signers = append(signers, s)
	}
	var methods []ssh.AuthMethod
	if agentSigners != nil || len(signers) > 0 {
		methods = append(methods, ssh.PublicKeysCallback(func() ([]ssh.Signer, error) {
			if agentSigners == nil {
				return signers, nil
			}
			from, err := agentSigners()
			return append(from, signers...), err
		}))
	}
	if d.cfg.Password != "" {
		methods = append(methods, passwordAuth(d.cfg.Password)...)
	}
	return methods, nil
}

func passwordAuth(password string) []ssh.AuthMethod {
	return []ssh.AuthMethod{
		ssh.Password(password),
		ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
			answers := make([]string, len(questions))
			for i := range answers {
				answers[i] = password
			}
			return answers, nil
		}),
	}
}

func (d *dialer) bastionAuth(ctx context.Context) ([]ssh.AuthMethod, error) {
	var methods []ssh.AuthMethod
	if d.cfg.BastionPrivateKeyFile != "" || d.cfg.BastionAgentAuth {
		var signers []ssh.Signer
		if d.cfg.BastionAgentAuth {
			a, err := localAgent()
			if err != nil {
				return nil, fmt.Errorf("ssh_bastion_agent_auth: %w", err)
			}
			if signers, err = a.Signers(); err != nil {
				return nil, fmt.Errorf("ssh_bastion_agent_auth: %w", err)
			}
		}
		if d.cfg.BastionPrivateKeyFile != "" {
			s, err := signer(d.cfg.BastionPrivateKeyFile, d.cfg.BastionCertificateFile)
			if err != nil {
				return nil, err
			}
			signers = append(signers, s)
		}
		methods = append(methods, ssh.PublicKeys(signers...))
	}
	if d.cfg.BastionPassword != "" {
		methods = append(methods, passwordAuth(d.cfg.BastionPassword)...)
	}
	if d.cfg.BastionInteractive {
		methods = append(
			methods,
			ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
				var answers []string
				for _, q := range questions {
					a, err := d.b.Ask(ctx, q)
					if err != nil {
						return nil, err
					}
					answers = append(answers, a)
				}
				return answers, nil
			}),
		)
	}
	return methods, nil
}

// localAgent connects to the agent that SSH_AUTH_SOCK names.
func localAgent() (agent.ExtendedAgent, error) {
	socket := os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return nil, errors.New("no agent: SSH_AUTH_SOCK is not set")
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("connect to the agent: %w", err)
	}
	return agent.NewClient(conn), nil
}
