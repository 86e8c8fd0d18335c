package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kiln"
	"kiln/kilntest"
)

// cutting is a machine to which the connection ends in the middle of what is sent: the
// command that reads it sees a plain end of its input.
type cutting struct {
	kilntest.Local
	after, sent int // bytes of the first command
}

func (c *cutting) Run(ctx context.Context, cmd *kiln.Cmd) error {
	if cmd.Stdin == nil {
		return c.Local.Run(ctx, cmd)
	}
	all, err := io.ReadAll(cmd.Stdin)
	if err != nil {
		return err
	}
	c.sent = len(all)
	part := *cmd
	part.Stdin = bytes.NewReader(all[:min(c.after, len(all))])
	if err := c.Local.Run(ctx, &part); err == nil {
		return nil
	}
	return kiln.ErrConnectionLost
}

// Of what arrived in part nothing is run, wherever it was cut, and nothing is left.
func TestPartIsNotRun(t *testing.T) {
	for _, file := range []bool{false, true} {
		last := 1
		for after := 0; after <= last; after++ {
			dir, ran := t.TempDir(), filepath.Join(t.TempDir(), "ran")
			p := provisioner(Provisioner{
				// Each beginning of it would do something.
				Inline:       []string{"#!/bin/sh", "echo>" + ran, ":"},
				RemoteFolder: dir, UseEnvVarFile: file, Env: map[string]string{"A": "b"},
				StartRetryTimeout: time.Millisecond,
				ExecuteCommand:    "touch " + ran + "; sh {{.Path}}; true",
			})
			b, _ := kilntest.NewBuild(t)
			c := &cutting{after: after}
			err := p.Provision(t.Context(), b, c)
			last = c.sent
			whole := after == last
			if _, statErr := os.Stat(ran); (statErr == nil) != whole || (err == nil) != whole {
				t.Errorf("%d of %d bytes arrived: run: %t, %v", after, last, statErr == nil, err)
			}
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("%d of %d bytes arrived: left %v", after, last, left)
			}
		}
	}
}

// A folder that does not exist yet is waited for; what the machine refuses for good is
// not tried again.
func TestRetries(t *testing.T) {
	for _, pty := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "late")
		p := provisioner(Provisioner{Inline: []string{"echo ran"}, RemoteFolder: dir})
		b, r := kilntest.NewBuild(t)
		err := p.Provision(t.Context(), b, &lateFolder{Local: kilntest.Local{PTY: pty}, dir: dir})
		said := strings.Join(r.Texts(kiln.EventSay, kiln.EventOut), "\n")
		if err != nil || !strings.HasSuffix(said, "\nran") || strings.Count(said, "trying again for up to 5m0s") != 1 {
			t.Errorf("terminal %t: %v, said\n%s", pty, err, said)
		}
	}
	for want, c := range map[string]kiln.Communicator{
		"no more room":       &refusing{err: errors.New("no more room")},
		"exited with status": &refusing{err: &kiln.ExitError{Code: 1}},
	} {
		p := provisioner(Provisioner{Inline: []string{"echo ran"}, RemoteFolder: t.TempDir()})
		b, r := kilntest.NewBuild(t)
		err := p.Provision(t.Context(), b, c)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(fmt.Sprint(r.Texts(kiln.EventSay)), "again") {
			t.Errorf("got %v, want %q at once; said %q", err, want, r.Texts(kiln.EventSay))
		}
	}
}

// lateFolder is a machine that makes a folder after the second command.
type lateFolder struct {
	kilntest.Local
	dir   string
	calls int
}

func (l *lateFolder) Run(ctx context.Context, cmd *kiln.Cmd) error {
	err := l.Local.Run(ctx, cmd)
	if l.calls++; l.calls == 2 {
		return errors.Join(err, os.Mkdir(l.dir, 0o755))
	}
	return err
}

// refusing is a machine that takes no file.
type refusing struct {
	kilntest.Local
	err error
}

func (r *refusing) Guest() kiln.Guest {
	return kiln.Guest{OS: kiln.OSUnix, Shell: kiln.ShellPOSIX, Terminal: true}
}
func (r *refusing) Upload(context.Context, *kiln.Upload) error { return r.err }

// silent is a machine that answers success and runs nothing, as a login without a shell.
type silent struct{ kilntest.Local }

func (silent) Run(context.Context, *kiln.Cmd) error { return nil }

func TestSuccessIsShown(t *testing.T) {
	p := provisioner(Provisioner{Inline: []string{"echo ran"}})
	b, _ := kilntest.NewBuild(t)
	if err := p.Provision(t.Context(), b, &silent{}); err == nil || !strings.Contains(err.Error(), "ran something else") {
		t.Errorf("got %v", err)
	}
}

// noisy is a machine that never stops to write before the script begins.
type noisy struct{ kilntest.Local }

func (noisy) Run(ctx context.Context, cmd *kiln.Cmd) error {
	for ctx.Err() == nil && cmd.Stderr != nil {
		if _, err := cmd.Stderr.Write(bytes.Repeat([]byte("noise\n"), 10_000)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func TestNoise(t *testing.T) {
	p := provisioner(Provisioner{Inline: []string{"echo ran"}})
	b, _ := kilntest.NewBuild(t)
	if err := p.Provision(t.Context(), b, &noisy{}); err == nil || !strings.Contains(err.Error(), "before the script began") {
		t.Errorf("got %v", err)
	}
}

// A file that is there already, be it a link that leads elsewhere, is nobody's to
// write over: the script gets another name. A name of the template's own is used.
func TestTaken(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere")
	free := ""
	for n := 1000; n < 10_000; n++ {
		name := fmt.Sprintf("script_%d.sh", n)
		if n%10 == 7 { // one in ten is free
			free += name + " "
			continue
		}
		if err := os.Symlink(elsewhere, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	b, r := kilntest.NewBuild(t)
	var err error
	for range 50 { // so many names may all be taken, by chance
		p := provisioner(Provisioner{Inline: []string{"echo $0"}, RemoteFolder: dir})
		if err = p.Provision(t.Context(), b, &kilntest.Local{}); err == nil {
			break
		}
	}
	out := strings.Join(r.Texts(kiln.EventOut), "|")
	if err != nil || !strings.Contains(free, filepath.Base(out)+" ") {
		t.Errorf("%v, ran as %q", err, out)
	}
	if _, err := os.Stat(elsewhere); err == nil {
		t.Error("a link was followed")
	}
	own := filepath.Join(dir, "own.sh")
	if err := os.WriteFile(own, []byte("echo old"), 0o644); err != nil {
		t.Fatal(err)
	}
	b, r = kilntest.NewBuild(t)
	p := provisioner(Provisioner{Inline: []string{"echo new"}, RemotePath: own})
	if err := p.Provision(t.Context(), b, &kilntest.Local{}); err != nil || strings.Join(r.Texts(kiln.EventOut), "|") != "new" {
		t.Errorf("%v, printed %q", err, r.Texts(kiln.EventOut))
	}
}

// What is on a machine that is not the build's stands in the journal as long as it is
// there, and what the end of the build left there is removed if that can be.
func TestOwned(t *testing.T) {
	for _, pty := range []bool{false, true} {
		// A cancelled build has less than a second for it. A machine that is too busy just now
		// gets another try.
		kilntest.Eventually(t, "the script is removed in time", func() bool {
			return len(cancelledOwning(t, t.TempDir(), pty)) == 0
		})
	}
	// A machine of the build's own takes the script along.
	dir := t.TempDir()
	b, r := kilntest.NewBuild(t)
	if err := b.Own(kiln.Resource{Owner: "builder.test", Kind: "machine", ID: "x"}, func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	p := provisioner(Provisioner{Inline: []string{"echo on"}, RemoteFolder: dir})
	if err := p.Provision(t.Context(), b, &kilntest.Local{}); err != nil || r.Owns() != 1 {
		t.Errorf("%v, owned %d times", err, r.Owns())
	}
}

// cancelledOwning cancels a script while it runs, and gives what is owned then: what is
// still on the machine.
func cancelledOwning(t *testing.T, dir string, pty bool) []kiln.Resource {
	t.Helper()
	b, r := kilntest.NewBuild(t)
	b.SetAccess(kiln.Access{Type: "ssh", Host: "::1", Port: 22, User: "me"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := provisioner(Provisioner{Inline: []string{"echo on", "sleep 60"}, RemoteFolder: dir, UseEnvVarFile: true})
	ended := make(chan error, 1)
	go func() { ended <- p.Provision(ctx, b, &kilntest.Local{PTY: pty}) }()
	kilntest.Eventually(t, "the script runs", func() bool { return len(r.Texts(kiln.EventOut)) > 0 })
	during := r.Balance()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if len(during) != 2 || !strings.HasPrefix(during[0].String(), "provisioner.shell script me@[::1]:22:"+dir+"/script_") {
		t.Errorf("owned %v", during)
	}
	open := r.Balance()
	if left, _ := os.ReadDir(dir); len(left) != 0 && len(open) == 0 {
		t.Errorf("left, and owned no more: %v", left)
	}
	return open
}
