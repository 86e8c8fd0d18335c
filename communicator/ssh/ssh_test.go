package ssh

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kiln"
	"kiln/kilntest"
	"kiln/schema"
)

// config connects to a test server.
func config(s *kilntest.SSHD) *Config {
	c := &Config{Host: "127.0.0.1", Port: s.Port, Username: s.User, PrivateKeyFile: s.KeyFile}
	schema.Defaults(c)
	return c
}

func connect(t *testing.T, c *Config) kiln.Communicator {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	b, _ := kilntest.NewBuild(t)
	way, err := c.Connect(t.Context(), b, kiln.Target{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { way.Close() })
	return way
}

func TestConformance(t *testing.T) {
	s := kilntest.StartSSHD(t)
	for _, method := range []string{"", "scp", "sftp"} {
		t.Run("method="+method, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "kilnssh")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			open := func(t *testing.T, port int) kiln.Communicator {
				c := config(s)
				c.FileTransferMethod, c.Port = method, port
				return connect(t, c)
			}
			kilntest.TestCommunicator(t, func(t *testing.T) kiln.Communicator {
				return open(t, s.Port)
			}, kilntest.CommunicatorOptions{
				Dir: dir, NoNewlines: method == "scp",
				Through: func(t *testing.T) (kiln.Communicator, *kilntest.Relay) {
					relay, err := kilntest.NewRelay(s.Addr(), 0)
					if err != nil {
						t.Fatal(err)
					}
					return open(t, relay.Port()), relay
				},
			})
		})
	}
}

func TestBastion(t *testing.T) {
	machine, bastion := kilntest.StartSSHD(t), kilntest.StartSSHD(t)
	c := config(machine)
	c.BastionHost, c.BastionPort, c.BastionUsername, c.BastionPrivateKeyFile = "127.0.0.1", bastion.Port, "root", bastion.KeyFile
	if out, _, err := kilntest.Output(t.Context(), connect(t, c), "echo through"); out != "through\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestTerminal(t *testing.T) {
	c := config(kilntest.StartSSHD(t))
	c.PTY = true
	if out, _, err := kilntest.Output(t.Context(), connect(t, c), "test -t 1 && stty size"); strings.TrimSpace(out) != "40 80" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestTunnels(t *testing.T) {
	c := config(kilntest.StartSSHD(t))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte("hello\n"))
			conn.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	local := kilntest.FreePort(t)
	c.LocalTunnels = []string{strings.Join([]string{strconv.Itoa(local), "127.0.0.1", port}, ":")}
	connect(t, c)
	conn, err := net.Dial("tcp", net.JoinHostPort("localhost", strconv.Itoa(local)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 6)
	if n, err := conn.Read(buf); string(buf[:n]) != "hello\n" {
		t.Errorf("got %q, %v", buf[:n], err)
	}
}

func TestWrongKey(t *testing.T) {
	s, other := kilntest.StartSSHD(t), kilntest.NewSSHD(t)
	c := config(s)
	c.PrivateKeyFile, c.HandshakeAttempts, c.Timeout = other.KeyFile, 1, 5*time.Minute
	b, _ := kilntest.NewBuild(t)
	_, err := c.Connect(t.Context(), b, kiln.Target{})
	if err == nil || !strings.Contains(err.Error(), "authentication error when trying to connect via SSH") {
		t.Errorf("got %v", err)
	}
}

func TestReadiness(t *testing.T) {
	s := kilntest.NewSSHD(t)
	c := config(s)
	b, r := kilntest.NewBuild(t)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		way, err := c.Connect(t.Context(), b, kiln.Target{})
		if err == nil {
			way.Close()
		}
		done <- err
	}()
	kilntest.Eventually(t, "it waits for the server", func() bool {
		return slices.Contains(r.Texts(kiln.EventSay), "Waiting for SSH to become available...")
	})
	s.Start()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTimeout(t *testing.T) {
	c := config(kilntest.NewSSHD(t))
	c.Timeout = 200 * time.Millisecond
	b, _ := kilntest.NewBuild(t)
	if _, err := c.Connect(t.Context(), b, kiln.Target{}); err == nil || !strings.Contains(err.Error(), "Timeout waiting for SSH.") {
		t.Errorf("got %v", err)
	}
}

func TestReconnect(t *testing.T) {
	s := kilntest.StartSSHD(t)
	way := connect(t, config(s))
	lost := make(chan error, 1)
	said, out := io.Pipe()
	go func() { lost <- way.Run(t.Context(), &kiln.Cmd{Command: "echo begun; sleep 60", Stdout: out}) }()
	if _, err := said.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, said)
	s.Stop()
	if err := <-lost; !errors.Is(err, kiln.ErrConnectionLost) {
		t.Errorf("a command whose connection was lost: %v", err)
	}
	var start *kiln.StartError
	if err := way.Run(t.Context(), &kiln.Cmd{Command: "true"}); !errors.As(err, &start) {
		t.Errorf("a command on a server that is away: %v", err)
	}
	s.Start()
	if out, _, err := kilntest.Output(t.Context(), way, "echo back"); out != "back\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, "An ssh_username must be specified"},
		{Config{Username: "u", BastionHost: "b", ProxyHost: "p", BastionPassword: "x"}, "not both"},
		{Config{Username: "u", BastionHost: "b"}, "ssh_bastion_password, ssh_bastion_private_key_file or ssh_bastion_agent_auth must be specified"},
		{Config{Username: "u", PrivateKeyFile: "/none"}, "ssh_private_key_file is invalid"},
		{Config{Username: "u", CertificateFile: "/none"}, "needs ssh_private_key_file"},
		{Config{Username: "u", RemoteTunnels: []string{"x"}}, "error parsing tunnel"},
		{Config{Username: "u", Ciphers: []string{"rot13"}}, `unknown algorithm "rot13"`},
		{Config{Username: "u", TemporaryKeyPairType: "dsa"}, "dsa keys are refused"},
		{Config{Username: "u", TemporaryKeyPairType: "ecdsa", TemporaryKeyPairBits: 1}, "256, 384 or 521"},
	} {
		if err := c.cfg.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	c := Config{Username: "u", Timeout: time.Minute}
	if err := c.Validate(); err != nil || c.HandshakeAttempts != 0 {
		t.Errorf("%v, %d attempts", err, c.HandshakeAttempts)
	}
	c = Config{Username: "u", Ciphers: []string{"aes128-cbc", "3des-cbc"}, KeyExchange: []string{"diffie-hellman-group1-sha1"}}
	if err := c.Validate(); err != nil || c.Timeout != 5*time.Minute || c.HandshakeAttempts != 10 {
		t.Errorf("%v, %v", err, c.Timeout)
	}
}

func TestKeyPairs(t *testing.T) {
	for kind, head := range map[string]string{"rsa": "BEGIN PRIVATE KEY", "ecdsa": "BEGIN PRIVATE KEY", "ed25519": "BEGIN OPENSSH PRIVATE KEY", "": "BEGIN OPENSSH PRIVATE KEY"} {
		bits := 0
		if kind == "rsa" {
			bits = 2048
		}
		pair, err := NewKeyPair(kind, bits, "kiln")
		if err != nil || !strings.Contains(pair.Private, head) || !strings.HasSuffix(pair.Public, " kiln") {
			t.Errorf("%s: %v, %+v", kind, err, pair)
		}
	}
}
