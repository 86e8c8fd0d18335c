package shell

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kiln"
	"kiln/communicator/none"
	"kiln/guest"
	"kiln/kilntest"
	"kiln/schema"
)

func provisioner(p Provisioner) *Provisioner {
	schema.Defaults(&p)
	return &p
}

func TestProvision(t *testing.T) {
	script := filepath.Join(t.TempDir(), "s.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\r\necho from file \"$V\"\r\nread x || echo no input\r\necho "+strings.Repeat("x", 70000)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, pty := range []bool{false, true} {
		for _, c := range []struct {
			p    Provisioner
			out  string
			want string // of the error; "": none
		}{
			{Provisioner{Inline: []string{"echo a", "echo b"}}, "a|b", ""},
			{Provisioner{Inline: []string{"false", "echo not reached"}}, "", "non-zero exit status: 1. Allowed exit codes are: [0]"},
			{Provisioner{Inline: []string{"exit 9"}, ValidExitCodes: []int{0, 9}}, "", ""},
			{Provisioner{Inline: []string{"#!/bin/sh", "false", "echo own shebang"}}, "own shebang", ""},
			{Provisioner{Inline: []string{"echo $A-$B-$PACKER_BUILD_NAME"}, EnvironmentVars: []string{"A=it's", "B=1"}, Env: map[string]string{"B": "2 3"}}, "it's-2 3-test", ""},
			{Provisioner{Inline: []string{"echo $A"}, EnvironmentVars: []string{"A=in a 'file'"}, UseEnvVarFile: true}, "in a 'file'", ""},
			{Provisioner{Script: script, Env: map[string]string{"V": "x"}}, "from file x|no input|" + strings.Repeat("x", 70000), ""},
			{Provisioner{Inline: []string{"echo sudo"}, ExecuteCommand: "env {{.Vars}} sh {{.Path}}"}, "sudo", ""},
			{Provisioner{Inline: []string{"x"}, RemoteFolder: "/no/such/folder", StartRetryTimeout: time.Second}, "", "/no/such/folder"},
		} {
			b, r := kilntest.NewBuild(t)
			p := provisioner(c.p)
			if err := p.Validate(); err != nil {
				t.Fatal(err)
			}
			p.RemotePath = c.p.RemotePath
			if c.p.RemoteFolder == "" {
				p.RemoteFolder = t.TempDir()
			}
			err := p.Provision(t.Context(), b, &kilntest.Local{PTY: pty})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("pty %t, %v: %v", pty, c.p.Inline, err)
			}
			if out := strings.Join(r.Texts(kiln.EventOut), "|"); out != c.out {
				t.Errorf("pty %t, %v: printed %.200q", pty, c.p.Inline, out)
			}
			if left, _ := os.ReadDir(p.RemoteFolder); len(left) != 0 && c.p.RemoteFolder == "" {
				t.Errorf("pty %t, %v: left %v", pty, c.p.Inline, left)
			}
		}
	}
}

// What did not start is tried again; what was lost while it ran is not.
func TestLostConnections(t *testing.T) {
	tries := 0
	p := provisioner(Provisioner{Inline: []string{"echo ran"}, RemoteFolder: t.TempDir()})
	b, r := kilntest.NewBuild(t)
	err := p.Provision(t.Context(), b, &kilntest.Local{Before: func(string) error {
		if tries++; tries < 3 {
			return &kiln.StartError{Err: errors.New("away")}
		}
		return nil
	}})
	if err != nil || tries != 3 || strings.Join(r.Texts(kiln.EventOut), "") != "ran" {
		t.Errorf("%v after %d tries", err, tries)
	}
	lost := &lostAfterStart{}
	b, _ = kilntest.NewBuild(t)
	if err := p.Provision(t.Context(), b, lost); !errors.Is(err, kiln.ErrConnectionLost) || !strings.Contains(err.Error(), "Script disconnected unexpectedly") || lost.runs != 1 {
		t.Errorf("%v after %d runs", err, lost.runs)
	}
	p.ExpectDisconnect = true
	lost = &lostAfterStart{}
	if err := p.Provision(t.Context(), b, lost); err != nil {
		t.Error(err)
	}
}

// A command that was refused for good, and a machine without a shell, are errors at once.
func TestFinal(t *testing.T) {
	refuses := &kilntest.Local{Before: func(string) error {
		return &kiln.StartError{Err: errors.New("no shell here"), Final: true}
	}}
	for want, c := range map[string]kiln.Communicator{
		"no shell here": refuses,
		"Upload is not implemented when communicator = 'none'": none.Communicator{},
	} {
		p := provisioner(Provisioner{Inline: []string{"echo x"}, RemoteFolder: t.TempDir()})
		b, _ := kilntest.NewBuild(t)
		begin := time.Now()
		err := p.Provision(t.Context(), b, c)
		if err == nil || !strings.Contains(err.Error(), want) || time.Since(begin) > time.Minute {
			t.Errorf("got %v after %s, want %q", err, time.Since(begin), want)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		p    Provisioner
		want string
	}{
		{Provisioner{}, "Either a script file or inline script must be specified."},
		{Provisioner{Script: "/none", Scripts: []string{"/none"}}, "Only one of script or scripts can be specified."},
		{Provisioner{Script: "/none"}, "Bad script '/none'"},
		{Provisioner{Inline: []string{"x"}, Script: "shell_test.go"}, "Only a script file or an inline script can be specified, not both."},
		{Provisioner{Inline: []string{"x"}, EnvironmentVars: []string{"=x"}}, "Environment variable not in format 'key=value'"},
		{Provisioner{Inline: []string{"x"}, EnvVarFormat: "%s"}, "two places"},
	} {
		if err := c.p.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// The shell gets back the very bytes of a variable's value.
func FuzzVars(f *testing.F) {
	for _, s := range []string{"plain", "it's", "$(x) `y` \"z\"", "a\nb", "\\", "''"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsAny(value, "\x00") {
			return // no variable can hold it
		}
		b, _ := kilntest.NewBuild(t)
		r := runner{provisioner(Provisioner{EnvironmentVars: []string{"V=" + value}}), &guest.Script{Build: b}}
		out, err := exec.Command("/bin/sh", "-c", r.vars()+"printenv V; printf x").Output()
		if err != nil || string(out) != value+"\nx" {
			t.Errorf("%q came back as %q, %v", value, out, err)
		}
	})
}
