package vnc

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"kiln/kilntest"
	"kiln/media/bootcommand"
)

// server is an RFB server that lets in whom it should and notes the keys it is told of.
type server struct {
	version  string // "RFB 003.008\n"
	types    []byte // of security: none
	password string // what its challenge's answer must be made of
	refusal  string // why it lets nobody in
	noise    int    // bells that it sends before it reads a key
	leaves   int    // after so many keys; 0: it stays

	keys []bootcommand.KeyEvent // once done is closed
	done chan struct{}
}

// start makes it listen, and returns where.
func (s *server) start(t *testing.T) string {
	t.Helper()
	if s.version == "" {
		s.version = version
	}
	if s.types == nil {
		s.types = []byte{none}
	}
	s.done = make(chan struct{})
	return listen(t, func(conn net.Conn) {
		defer close(s.done)
		if err := s.serve(conn); err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("server: %v", err)
		}
	})
}

// listen lets one client in and serves it.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		serve(conn)
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
	})
	return l.Addr().String()
}

func write(w io.Writer, parts ...any) error {
	for _, p := range parts {
		if text, ok := p.(string); ok {
			p = []byte(text)
		}
		if err := binary.Write(w, binary.BigEndian, p); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) serve(conn net.Conn) error {
	if err := write(conn, s.version); err != nil {
		return err
	}
	theirs := make([]byte, len(version))
	if _, err := io.ReadFull(conn, theirs); err != nil {
		return err
	}
	if string(theirs) != version {
		return errors.New("the client speaks " + string(theirs))
	}
	if len(s.types) == 0 {
		return write(conn, byte(0), uint32(len(s.refusal)), s.refusal)
	}
	choice := make([]byte, 1)
	if err := write(conn, byte(len(s.types)), s.types); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, choice); err != nil {
		return err
	}
	if in, err := s.admit(conn, choice[0]); !in {
		return err
	}
	shared := make([]byte, 1)
	if _, err := io.ReadFull(conn, shared); err != nil {
		return err
	}
	if shared[0] != 1 {
		return errors.New("the client wants the screen for itself")
	}
	name := "a machine"
	if err := write(conn, uint16(720), uint16(400), make([]byte, 16), uint32(len(name)), name); err != nil {
		return err
	}
	if err := write(conn, bytes.Repeat([]byte{2}, s.noise)); err != nil {
		return err
	}
	return s.read(conn)
}

// admit says whether the client is let in.
func (s *server) admit(conn net.Conn, choice byte) (bool, error) {
	if choice == byVNC {
		challenge, response := []byte("0123456789abcdef"), make([]byte, 16)
		if err := write(conn, challenge); err != nil {
			return false, err
		}
		if _, err := io.ReadFull(conn, response); err != nil {
			return false, err
		}
		var want bytes.Buffer
		if err := answer(bytes.NewReader(challenge), &want, s.password); err != nil {
			return false, err
		}
		if !bytes.Equal(want.Bytes(), response) {
			s.refusal = "Authentication failed\x00" // QEMU's words
		}
	}
	if s.refusal != "" {
		return false, write(conn, uint32(1), uint32(len(s.refusal)), s.refusal)
	}
	return true, write(conn, uint32(0))
}

// read notes keys until the client ends the connection.
func (s *server) read(conn net.Conn) error {
	for s.leaves == 0 || len(s.keys) < s.leaves {
		message := make([]byte, 8)
		if _, err := io.ReadFull(conn, message); err != nil {
			return err
		}
		if message[0] != 4 || message[1] > 1 || message[2] != 0 || message[3] != 0 {
			return errors.New("not a key event: " + hex.EncodeToString(message))
		}
		s.keys = append(s.keys,
			bootcommand.KeyEvent{Down: message[1] == 1, Keysym: binary.BigEndian.Uint32(message[4:])})
	}
	return nil
}

// What is typed arrives, all of it and in order, also where the server has much to say
// and the connection ends after the last key.
func TestTyping(t *testing.T) {
	text := strings.Repeat(`Some text<enter><leftCtrlOn>c<leftCtrlOff> & "more"`, 50)
	actions, err := bootcommand.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var want []bootcommand.KeyEvent
	for _, a := range actions {
		want = append(want, bootcommand.KeyEvents(a)...)
	}
	for name, c := range map[string]struct {
		server   server
		password string
	}{
		"no security":         {server{}, ""},
		"a needless password": {server{}, "secret"},
		"a password":          {server{types: []byte{16, byVNC}, password: "secret"}, "secret"},
		"both":                {server{types: []byte{none, byVNC}, password: "secret"}, "secret"},
		"eight bytes count":   {server{types: []byte{byVNC}, password: "secret12"}, "secret123"},
		"a later version":     {server{version: "RFB 003.889\n"}, ""},
		"a talker":            {server{noise: 16 << 20}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			addr := c.server.start(t)
			client, err := Dial(t.Context(), addr, c.password)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := kilntest.NewBuild(t)
			typist := bootcommand.OverVNC(client.Key, 0)
			if err := bootcommand.Type(t.Context(), b, typist, text, bootcommand.Vars{}); err != nil {
				t.Fatal(err)
			}
			if err := client.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			<-c.server.done
			if !slices.Equal(c.server.keys, want) {
				t.Errorf("%d of %d events came, or others", len(c.server.keys), len(want))
			}
		})
	}
}

// The answer was made by OpenSSL.
func TestAnswer(t *testing.T) {
	challenge, err := hex.DecodeString("000102030405060708090a0b0c0d0e0f")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := answer(bytes.NewReader(challenge), &got, "secret"); err != nil {
		t.Fatal(err)
	}
	if want := "ee22539f33a5983ec12f9c2edbc995dd"; hex.EncodeToString(got.Bytes()) != want {
		t.Errorf("got %x, want %s", got.Bytes(), want)
	}
}

// Whoever is refused is told why, and by whom.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		server         server
		password, want string
	}{
		{server{types: []byte{byVNC}, password: "secret"}, "wrong",
			`the server refuses the password: "Authentication failed"`},
		{server{types: []byte{byVNC}, password: "secret"}, "", "the server wants a password, and none is given"},
		{server{types: []byte{19, 77}}, "secret",
			"the server lets nobody in without VeNCrypt or type 77: no security or a VNC password can be used"},
		{server{types: []byte{}, refusal: "Too many clients"}, "",
			`the server refuses the connection: "Too many clients"`},
		{server{refusal: "Go away\n"}, "", `the server refuses the connection: "Go away\n"`},
	} {
		addr := c.server.start(t)
		client, err := Dial(t.Context(), addr, c.password)
		want := "Error handshaking with VNC: " + addr + ": " + c.want
		if client != nil || err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// What is no VNC server, or one that is too old.
func TestStrangers(t *testing.T) {
	for _, c := range []struct{ says, want string }{
		{"RFB 003.003\n", "unsupported minor version, less than 8: 3"},
		{"RFB 003.007\n", "unsupported minor version, less than 8: 7"},
		{"RFB 002.009\n", "unsupported major version, less than 3: 2"},
		{"RFB three.  ", `not a VNC server: it begins with "RFB three.  "`},
		{"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", `not a VNC server: it begins with "SSH-2.0-Open"`},
		{"220\r\n", `not a VNC server: it begins with "220\r\n"`},
		{"", "the server has ended the connection"},
		{"RFB 00", "the server has ended the connection"},
		{version, "the server has ended the connection"},
		{version + "\x02\x01", "the server has ended the connection"},
		{version + "\x01\x02\x00\x00", "the server has ended the connection"},
		{version + "\x01\x01\x00\x00", "the server has ended the connection"},
		{version + "\x01\x01\x00\x00\x00\x00", "the server has ended the connection"},
		{version + "\x01\x01\x00\x00\x00\x01", `the server refuses the connection: no reason given`},
		{version + "\x00\xff\xff\xff\xff", "the server sends a text of 4294967295 bytes: is it a VNC server?"},
	} {
		addr := listen(t, func(conn net.Conn) {
			_, _ = io.WriteString(conn, c.says)
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn) // what is unread would become a reset
		})
		client, err := Dial(t.Context(), addr, "secret")
		if client != nil || err == nil || !strings.HasSuffix(err.Error(), addr+": "+c.want) {
			t.Errorf("%q: got %v, want %s", c.says, err, c.want)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, err = Dial(t.Context(), addr, "")
	if err == nil || !strings.Contains(err.Error(), "Error connecting to VNC: ") ||
		!strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
}

// A context ends every wait.
func TestContext(t *testing.T) {
	why := errors.New("enough")
	t.Run("dial", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		addr := listen(t, func(conn net.Conn) { // it waits for us, as a web server does
			cancel(why)
			_, _ = io.Copy(io.Discard, conn)
		})
		if _, err := Dial(ctx, addr, ""); !errors.Is(err, why) || !strings.Contains(err.Error(), addr) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("before", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		if _, err := Dial(ctx, "127.0.0.1:1", ""); !errors.Is(err, why) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("key", func(t *testing.T) {
		s := server{}
		client, err := Dial(t.Context(), s.start(t), "")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		if err := client.Key(ctx, 'a', true); !errors.Is(err, why) {
			t.Errorf("got %v", err)
		}
		if err := client.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Run("full", func(t *testing.T) { // of one that takes nothing any more
		stop := make(chan struct{})
		addr := listen(t, func(conn net.Conn) {
			_ = write(conn, version, byte(1), byte(none), uint32(0), make([]byte, 24))
			<-stop
		})
		defer close(stop)
		client, err := Dial(t.Context(), addr, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := client.conn.(*net.TCPConn).SetWriteBuffer(4096); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		for n := 0; err == nil; n++ {
			if n == 1000 { // from here on it is a matter of how much the system holds
				go cancel(why)
			}
			err = client.Key(ctx, 'a', true)
		}
		if !errors.Is(err, why) {
			t.Errorf("got %v", err)
		}
		_ = client.Close(ctx)
	})
}

// A server that goes away while we type is named.
func TestLost(t *testing.T) {
	s := server{leaves: 3}
	addr := s.start(t)
	client, err := Dial(t.Context(), addr, "")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := client.Key(t.Context(), 'a', true); err != nil {
			t.Fatal(err)
		}
	}
	<-client.gone
	err = client.Key(t.Context(), 'a', true)
	if err == nil || !strings.Contains(err.Error(), "the VNC server at "+addr+" has ended the connection") {
		t.Errorf("got %v", err)
	}
	_ = client.Close(t.Context())
}

func FuzzHandshake(f *testing.F) {
	f.Add(version + "\x01\x01\x00\x00\x00\x00" + strings.Repeat("\x00", 23) + "\x01x")
	f.Add(version + "\x01\x02" + strings.Repeat("c", 16) + "\x00\x00\x00\x01\x00\x00\x00\x01x")
	f.Add(version + "\x00\x00\x00\x00\x01x")
	f.Add("SSH-2.0")
	f.Fuzz(func(t *testing.T, says string) {
		var said bytes.Buffer
		err := handshake(struct {
			io.Reader
			io.Writer
		}{strings.NewReader(says), &said}, "secret")
		if err == nil && !strings.HasPrefix(says, "RFB ") {
			t.Errorf("%q was let pass", says)
		}
		if strings.Contains(said.String(), "secret") {
			t.Errorf("the password was sent to %q", says)
		}
	})
}
