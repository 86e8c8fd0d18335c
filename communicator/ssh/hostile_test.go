package ssh

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"kiln"
	"kiln/communicator"
	"kiln/kilntest"
)

// hostile is a server that answers keep-alives, and does with each session what a test
// says.
type hostile struct {
	accept  bool                                   // sessions are opened
	request func(req *ssh.Request, ch ssh.Channel) // answers what is asked of one
	opened  func(ch ssh.Channel)                   // is told of each; nil: nobody is
}

func (h hostile) connect(t *testing.T, method string) *client {
	t.Helper()
	pair, err := NewKeyPair("ed25519", 0, "")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParsePrivateKey([]byte(pair.Private))
	if err != nil {
		t.Fatal(err)
	}
	cfg := &ssh.ServerConfig{NoClientAuth: true}
	cfg.AddHostKey(key)
	port := serve(t, func(conn net.Conn) {
		_, chans, reqs, err := ssh.NewServerConn(conn, cfg)
		if err != nil {
			return
		}
		go func() {
			for req := range reqs {
				_ = req.Reply(true, nil)
			}
		}()
		for nc := range chans {
			if !h.accept {
				continue
			}
			ch, reqs, err := nc.Accept()
			if err != nil {
				return
			}
			if h.opened != nil {
				h.opened(ch)
			}
			go func() {
				for req := range reqs {
					go h.request(req, ch)
				}
			}()
		}
	})
	c := config(&kilntest.SSHD{Port: port, User: "u"})
	c.PrivateKeyFile, c.Password, c.FileTransferMethod, c.DisableAgentForwarding = "", "pw", method, true
	way := connect(t, c).(*client)
	way.d.answer, way.d.stall = 300*time.Millisecond, 300*time.Millisecond
	return way
}

func yes(then func(ssh.Channel)) func(*ssh.Request, ssh.Channel) {
	return func(req *ssh.Request, ch ssh.Channel) {
		_ = req.Reply(true, nil)
		if req.Type == "exec" || req.Type == "subsystem" {
			then(ch)
		}
	}
}

// endless writes the same for ever.
func endless(w io.Writer, text string) {
	block := []byte(strings.Repeat(text, 32<<10/len(text)))
	for {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// Whatever a server does or does not do: each way to use it ends, with an error, and
// without holding what it says.
func TestHostile(t *testing.T) {
	silent := func(*ssh.Request, ssh.Channel) {}
	for name, h := range map[string]hostile{
		"no session":            {},
		"no answer":             {accept: true, request: silent},
		"nothing happens":       {accept: true, request: yes(func(ssh.Channel) {})},
		"endless complaints":    {accept: true, request: yes(func(ch ssh.Channel) { endless(ch.Stderr(), "x") })},
		"endless good answers":  {accept: true, request: yes(func(ch ssh.Channel) { endless(ch, "\x00") })},
		"an endless answer":     {accept: true, request: yes(func(ch ssh.Channel) { endless(ch, "\x01") })},
		"an endless line":       {accept: true, request: yes(func(ch ssh.Channel) { endless(ch, "C") })},
		"an end without a code": {accept: true, request: yes(func(ch ssh.Channel) { ch.CloseWrite() })},
	} {
		for _, method := range []string{"tar", "scp", "sftp"} {
			t.Run(name+"/"+method, func(t *testing.T) {
				way := h.connect(t, method)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				for what, try := range map[string]func() error{
					"upload": func() error {
						big := io.LimitReader(rand.Reader, 8<<20)
						return way.Upload(ctx, &kiln.Upload{Destination: "/x", Content: big, Size: 8 << 20})
					},
					"tree": func() error {
						return way.Upload(ctx, &kiln.Upload{Destination: "~user/x", Source: t.TempDir()})
					},
					"download": func() error {
						return way.Download(ctx, &kiln.Download{Source: "~user/x", Writer: &small{}})
					},
				} {
					if err := try(); err == nil || ctx.Err() != nil {
						t.Errorf("%s: %v", what, err)
					}
				}
				var now runtime.MemStats
				if runtime.ReadMemStats(&now); now.HeapAlloc > 256<<20 {
					t.Errorf("%d MB are held", now.HeapAlloc>>20)
				}
			})
		}
	}
}

// small is a disk with little room.
type small struct{ bytes.Buffer }

func (s *small) Write(p []byte) (int, error) {
	if s.Len() > 1<<20 {
		return 0, errors.New("no space left")
	}
	return s.Buffer.Write(p)
}

// The error names the rung on which a machine stopped, and events tell of each.
func TestLadder(t *testing.T) {
	silent := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	refusing := func(conn net.Conn) {
		cfg := &ssh.ServerConfig{PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) {
			return nil, errors.New("no")
		}}
		pair, err := NewKeyPair("ed25519", 0, "")
		if err != nil {
			return
		}
		if key, err := ssh.ParsePrivateKey([]byte(pair.Private)); err == nil {
			cfg.AddHostKey(key)
		}
		_, _, _, _ = ssh.NewServerConn(conn, cfg)
	}
	for _, c := range []struct {
		name  string
		serve func(net.Conn)         // nil: nobody does
		host  func() (string, error) // nil: it is known
		stop  string
		rungs []string
	}{
		{"no address", nil, func() (string, error) { return "", errors.New("no lease") },
			"machine 7 up, no address", []string{"up"}},
		{"no port", nil, nil, "machine 7 up, address HERE, no open port", []string{"up", "address"}},
		{"no word", silent, nil, "address HERE, port open, no banner", []string{"up", "address", "port"}},
		{"another protocol", func(conn net.Conn) { _, _ = conn.Write([]byte("220 mail\x1b[2J\r\n")); conn.Close() },
			nil, "port open, no banner", []string{"up", "address", "port"}},
		{"no login", refusing, nil, "port open, banner SSH-2.0-Go, not authenticated",
			[]string{"up", "address", "port", "banner"}},
		{"a banner that controls", func(conn net.Conn) {
			_, _ = conn.Write([]byte("hello\r\nSSH-2.0-\x1b[2J" + strings.Repeat("x", 200) + "\r\n"))
			conn.Close()
		}, nil, "banner SSH-2.0-[2J" + strings.Repeat("x", 69) + ", not authenticated",
			[]string{"up", "address", "port", "banner"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			port := kilntest.FreePort(t)
			if c.serve != nil {
				port = serve(t, c.serve)
			}
			cfg := config(&kilntest.SSHD{Port: port, User: "u"})
			cfg.Host, cfg.PrivateKeyFile, cfg.Password, cfg.HandshakeAttempts = "", "", "pw", 1
			target := kiln.Target{Port: port, Up: "machine 7"}
			target.Host = func(context.Context) (string, error) { return "127.0.0.1", nil }
			if c.host != nil {
				target.Host = func(context.Context) (string, error) { return c.host() }
			}
			ctx, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			var rungs []string
			hung := func() {}
			b := kiln.NewBuild(kiln.Build{}, kiln.Host{Emit: func(e kiln.Event) {
				if e.Kind == kiln.EventProgress && len(e.Data) > len(rungs) {
					rungs = e.Data
				}
				if c.name == "no word" && len(e.Data) == len(c.rungs) {
					hung() // the next rung never comes
				}
			}})
			d := &dialer{cfg: cfg, b: b, target: target, ladder: communicator.Climb(b, target.Up)}
			tries := 0
			_, err := d.wait(ctx, func(ctx context.Context) (*link, error) {
				if tries++; tries > 1 {
					stop(errTimeout)
					return nil, ctx.Err()
				}
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				hung = cancel
				return d.dial(ctx)
			})
			want := strings.Replace(c.stop, "HERE", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), 1)
			if err == nil || !strings.Contains(err.Error(), want+". ") {
				t.Errorf("%v\nwant %s", err, want)
			}
			if !slices.Equal(rungs, c.rungs) {
				t.Errorf("told %q, want %q", rungs, c.rungs)
			}
		})
	}
}

// A server may close sessions that wait for a command when another one ends, as dropbear
// does: commands run all the same, each once.
func TestSessionsOneByOne(t *testing.T) {
	for _, late := range []bool{false, true} {
		var mu sync.Mutex
		before := map[ssh.Channel]int{} // how many commands had run when a session was opened
		ran := 0
		way := hostile{accept: true, opened: func(ch ssh.Channel) {
			mu.Lock()
			defer mu.Unlock()
			before[ch] = ran
		}, request: func(req *ssh.Request, ch ssh.Channel) {
			mu.Lock()
			defer mu.Unlock()
			at, open := before[ch]
			if !open || late && at < ran {
				ch.Close() // it did not hear of the command
				return
			}
			_ = req.Reply(true, nil)
			ran++
			_, _ = ch.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
			for other := range before {
				if other == ch || !late {
					other.Close()
					delete(before, other)
				}
			}
		}}.connect(t, "")
		for range 3 {
			if err := way.Run(t.Context(), &kiln.Cmd{Command: "true"}); err != nil {
				t.Errorf("late %t: %v", late, err)
			}
		}
		mu.Lock()
		if ran != 3 {
			t.Errorf("late %t: %d commands ran", late, ran)
		}
		mu.Unlock()
	}
}

// A command that nobody answers may be tried again, on another connection.
func TestNoAnswer(t *testing.T) {
	way := hostile{}.connect(t, "")
	var start *kiln.StartError
	if err := way.Run(t.Context(), &kiln.Cmd{Command: "true"}); !errors.As(err, &start) || start.Final {
		t.Errorf("a session that is not opened: %v", err)
	}
	way = hostile{accept: true, request: func(*ssh.Request, ssh.Channel) {}}.connect(t, "")
	if err := way.Run(t.Context(), &kiln.Cmd{Command: "true"}); !errors.Is(err, kiln.ErrConnectionLost) {
		t.Errorf("a command that is not answered: %v", err)
	}
}

// A login that is refused is tried for as long as templates count on, and not for ever.
func TestLateLogin(t *testing.T) {
	refused := errors.New("ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey]")
	for _, c := range []struct {
		attempts int
		bridged  time.Duration // at least; the end is soon after
		timeout  time.Duration // 0: none
	}{
		{1, 0, 0}, {2, 7 * time.Second, 0}, {10, 63 * time.Second, 0}, {20, 133 * time.Second, 0},
		{0, 10 * time.Minute, 10 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			reasons := 0
			b := kiln.NewBuild(kiln.Build{}, kiln.Host{
				Emit: func(e kiln.Event) {
					if strings.Contains(e.Text, "Not connected yet: no address ("+refused.Error()) {
						reasons++
					}
				}})
			d := &dialer{cfg: &Config{HandshakeAttempts: c.attempts}, b: b, ladder: communicator.Climb(b, "")}
			ctx := t.Context()
			if c.timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeoutCause(ctx, c.timeout, errTimeout)
				defer cancel()
			}
			begin, tries := time.Now(), 0
			_, err := d.wait(ctx, func(context.Context) (*link, error) { tries++; return nil, refused })
			took := time.Since(begin)
			if err == nil || took < c.bridged || took > c.bridged+10*time.Second || tries < c.attempts {
				t.Errorf("%d attempts: %d tries in %s: %v", c.attempts, tries, took, err)
			}
			if want := min(1, int(c.bridged/(5*time.Second))); reasons != want {
				t.Errorf("%d attempts: the reason was told %d times, want %d", c.attempts, reasons, want)
			}
			// The key comes at the last moment.
			begin = time.Now()
			l, err := d.wait(t.Context(), func(context.Context) (*link, error) {
				if time.Since(begin) >= c.bridged {
					return &link{}, nil
				}
				return nil, refused
			})
			if l == nil || err != nil {
				t.Errorf("%d attempts, and a key that comes after %s: %v", c.attempts, c.bridged, err)
			}
		})
	}
}

// A forwarder takes connections before its machine does, and forgets them: one that is
// made when the machine answers gets in, whatever became of those before it.
func TestForwarder(t *testing.T) {
	s := kilntest.StartSSHD(t)
	var taken atomic.Int32
	port := serve(t, func(conn net.Conn) {
		defer conn.Close()
		if taken.Add(1) < 3 {
			_, _ = io.Copy(io.Discard, conn) // the machine never hears of it
			return
		}
		to, err := net.Dial("tcp", s.Addr())
		if err != nil {
			return
		}
		defer to.Close()
		go func() { _, _ = io.Copy(to, conn) }()
		_, _ = io.Copy(conn, to)
	})
	b, _ := kilntest.NewBuild(t)
	cfg := config(s)
	cfg.Host, cfg.Port = "", 0
	way, err := cfg.Connect(t.Context(), b, kiln.Target{Up: "machine", Port: port,
		Host: func(context.Context) (string, error) { return "127.0.0.1", nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer way.Close()
	if err := way.Run(t.Context(), &kiln.Cmd{Command: "true"}); err != nil {
		t.Error(err)
	}
}
