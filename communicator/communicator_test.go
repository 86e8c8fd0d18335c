package communicator_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"kiln"
	"kiln/communicator"
	"kiln/communicator/none"
	"kiln/communicator/ssh"
	"kiln/communicator/winrm"
	"kiln/kilntest"
)

// fake is a communicator that counts how often it connects.
type fake struct {
	kilntest.Local
	count int
}

func (f *fake) Validate() error { return nil }
func (f *fake) Alone() error    { return kiln.Invalid("fake_host", "fake_host must be specified") }
func (f *fake) Terminal() bool  { return f.PTY }
func (f *fake) Connect(context.Context, *kiln.Build, kiln.Target) (kiln.Communicator, error) {
	f.count++
	return f, nil
}

func config(kind string) *communicator.Config {
	c := &communicator.Config{Communicator: kind}
	c.Offer(map[string]kiln.Connector{
		"fake": new(fake), "none": new(none.Config), "ssh": new(ssh.Config), "winrm": new(winrm.Config)})
	return c
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		kind  string
		alone bool
		own   []string
		want  string // of the error; "": none
	}{
		{"", false, nil, "An ssh_username must be specified"}, // the default is ssh
		{"", true, nil, "ssh_host must be specified"},
		{"", true, []string{"docker"}, ""},
		{"docker", true, []string{"docker"}, ""},
		{"none", true, []string{"docker"}, ""},
		{"fake", false, nil, ""},
		{"fake", true, nil, "fake_host must be specified"},
		{"winrm", false, nil, "WinRM is not in this version"},
		{"telnet", false, []string{"docker"}, "Communicator type telnet is invalid (known are docker, fake, none, ssh, winrm)"},
	} {
		err := config(c.kind).Check(c.alone, c.own...)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: got %v", c, err)
		}
	}
}

// A pause means to connect, to wait, and to connect again.
func TestPause(t *testing.T) {
	c := config("fake")
	c.PauseBeforeConnecting = time.Millisecond
	b, r := kilntest.NewBuild(t)
	if _, err := c.Connect(t.Context(), b, kiln.Target{}); err != nil {
		t.Fatal(err)
	}
	if n := c.Connectors["fake"].(*fake).count; n != 2 || len(r.Texts(kiln.EventSay)) != 1 {
		t.Errorf("connected %d times, said %q", n, r.Texts(kiln.EventSay))
	}
	c.Communicator = "none"
	if _, err := c.Connect(t.Context(), b, kiln.Target{}); err != nil || len(r.Texts(kiln.EventSay)) != 1 {
		t.Errorf("%v; there is nothing to wait for with none", err)
	}
}

func TestTerminal(t *testing.T) {
	c := config("docker")
	if c.Terminal() {
		t.Error("nobody asked for a terminal")
	}
	c.Connectors["ssh"].(*ssh.Config).PTY = true
	if !c.Terminal() {
		t.Error("ssh_pty holds for a builder's own communicators too")
	}
}
