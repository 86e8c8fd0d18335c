package ssh

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"kiln/kilntest"
)

// serve answers each connection to a free loopback port, and gives the port.
func serve(t *testing.T, answer func(net.Conn)) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go answer(conn)
		}
	}()
	return ln.Addr().(*net.TCPAddr).Port
}

func echo(t *testing.T, c *Config) {
	t.Helper()
	if out, _, err := kilntest.Output(t.Context(), connect(t, c), "echo here"); out != "here\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestAgent(t *testing.T) {
	s := kilntest.StartSSHD(t)
	text, err := os.ReadFile(s.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParseRawPrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "ag")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ln, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(ring, conn)
		}
	}()
	t.Setenv("SSH_AUTH_SOCK", filepath.Join(dir, "s"))
	c := config(s)
	// A key that the server does not know must not hide the agent's.
	c.PrivateKeyFile, c.AgentAuth = kilntest.NewSSHD(t).KeyFile, true
	echo(t, c)
}

func TestCertificate(t *testing.T) {
	ca := kilntest.NewSSHD(t) // for its key pair
	s := kilntest.StartSSHD(t, "TrustedUserCAKeys "+ca.KeyFile+".pub", "AuthorizedKeysFile none")
	if out, err := exec.Command("ssh-keygen", "-q", "-s", ca.KeyFile, "-I", "kiln", "-n", "root", s.KeyFile+".pub").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c := config(s)
	c.CertificateFile = s.KeyFile + "-cert.pub"
	echo(t, c)
}

func TestPassword(t *testing.T) {
	for _, interactive := range []bool{false, true} {
		cfg := &ssh.ServerConfig{}
		if interactive {
			cfg.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
				answers, err := ask("", "", []string{"Password:"}, []bool{false})
				if err != nil || len(answers) != 1 || answers[0] != "pw" {
					return nil, io.ErrUnexpectedEOF
				}
				return nil, nil
			}
		} else {
			cfg.PasswordCallback = func(_ ssh.ConnMetadata, pw []byte) (*ssh.Permissions, error) {
				if string(pw) != "pw" {
					return nil, io.ErrUnexpectedEOF
				}
				return nil, nil
			}
		}
		pair, err := NewKeyPair("ed25519", 0, "")
		if err != nil {
			t.Fatal(err)
		}
		host, err := ssh.ParsePrivateKey([]byte(pair.Private))
		if err != nil {
			t.Fatal(err)
		}
		cfg.AddHostKey(host)
		port := serve(t, func(conn net.Conn) { answerExec(conn, cfg) })
		c := config(&kilntest.SSHD{Port: port, User: "u"})
		c.PrivateKeyFile, c.Password, c.Timeout = "", "pw", 5*time.Minute
		echo(t, c)
	}
}

// answerExec is a server that answers every command with "here".
func answerExec(conn net.Conn, cfg *ssh.ServerConfig) {
	_, chans, reqs, err := ssh.NewServerConn(conn, cfg)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(reqs)
	for nc := range chans {
		ch, reqs, err := nc.Accept()
		if err != nil {
			return
		}
		go func() {
			for req := range reqs {
				req.Reply(req.Type == "exec", nil)
				if req.Type == "exec" {
					io.WriteString(ch, "here\n")
					ch.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
					ch.Close()
				}
			}
		}()
	}
}

func TestProxies(t *testing.T) {
	s := kilntest.StartSSHD(t)
	socks := serve(t, func(in net.Conn) {
		defer in.Close()
		head := make([]byte, 3)
		io.ReadFull(in, head) // version, one method: none
		in.Write([]byte{5, 0})
		req := make([]byte, 10) // version, connect, 0, IPv4, address, port
		io.ReadFull(in, req)
		out, err := net.Dial("tcp", net.JoinHostPort(net.IP(req[4:8]).String(), strconv.Itoa(int(binary.BigEndian.Uint16(req[8:])))))
		if err != nil {
			return
		}
		in.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		couple(in, out)
	})
	c := config(s)
	c.ProxyHost, c.ProxyPort = "127.0.0.1", socks
	echo(t, c)

	web := serve(t, func(in net.Conn) {
		defer in.Close()
		req, err := http.ReadRequest(bufio.NewReader(in))
		if err != nil || req.Method != "CONNECT" {
			return
		}
		out, err := net.Dial("tcp", req.Host)
		if err != nil {
			return
		}
		io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
		couple(in, out)
	})
	c = config(s)
	c.ProxyHost, c.ProxyPort = "http://127.0.0.1", web
	echo(t, c)
}
