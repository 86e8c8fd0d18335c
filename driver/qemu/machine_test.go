package qemu

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kiln"
	"kiln/kilntest"
)

// talker is firmware that writes a text to the first serial port and stops there.
func talker(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rom")
	kilntest.ROM(t, path, text, false)
	return path
}

// small is the smallest machine, with the arguments given.
func small(t *testing.T, rom string, more ...Switch) Config {
	s := Switches{
		{"-accel", []string{"tcg"}}, {"-display", []string{"none"}}, {"-m", []string{"16"}}, {"-bios", []string{rom}},
		{"-net", []string{"none"}},
	}
	dir := t.TempDir()
	return Config{
		Program: Program, Switches: append(s, more...),
		Log: filepath.Join(dir, "runs", "r", "log"), Console: filepath.Join(dir, "runs", "r", "con,sole"),
	}
}

// tidy ends a build, which must leave nothing.
func tidy(t *testing.T, b *kiln.Build, r *kilntest.Recorder) {
	t.Helper()
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if open := r.Balance(); len(open) != 0 {
		t.Errorf("left: %v", open)
	}
}

func TestMachine(t *testing.T) {
	needEmulator(t)
	for how, end := range map[string]func(m *Machine) error{
		"quit":           func(m *Machine) error { return m.Quit(t.Context()) },
		"kill":           func(m *Machine) error { return m.Kill(t.Context()) },
		"with the build": func(m *Machine) error { return m.b.Close(t.Context()) },
	} {
		t.Run(how, func(t *testing.T) {
			b, r := kilntest.NewBuild(t)
			c := small(t, talker(t, "\x1b[2Jbooting\r\n\r\nlogin: "))
			m, err := Start(t.Context(), b, c)
			if err != nil {
				t.Fatal(err)
			}
			kilntest.Eventually(t, "the guest's words", func() bool {
				text, err := os.ReadFile(m.Console)
				return err == nil && strings.HasSuffix(string(text), "login: ")
			})
			why := m.Explain(errors.New("no way in"))
			want := "no way in (the machine runs); last lines of the serial console, " + c.Console + ":\nbooting\nlogin:"
			if why.Error() != want {
				t.Errorf("got  %v\nwant %s", why, want)
			}
			if err := m.Monitor.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			kilntest.Eventually(t, "the event", func() bool { return slices.Contains(m.Happened(), "STOP") })
			if state := m.State(); state != "the machine is paused" {
				t.Error(state)
			}
			if err := m.Monitor.Continue(t.Context()); err != nil {
				t.Error(err)
			}
			if err := end(m); err != nil {
				t.Error(err)
			}
			<-m.Done()
			if state := m.State(); state != "the emulator has ended" {
				t.Error(state)
			}
			tidy(t, b, r)
		})
	}
}

// A guest is as it is without our console where the template says what becomes of it.
func TestOwnConsole(t *testing.T) {
	for _, c := range []struct {
		name, value string
		free        bool
	}{
		{"-vga", "none", true}, {"-device", "virtio-net,netdev=n", true},
		{"-serial", "stdio", false}, {"--serial", "none", false}, {"-nographic", "", false},
		{"-nodefaults", "", false}, {"-device", "isa-serial,chardev=c", false}, {"--device", "virtconsole", false},
	} {
		var s Switches
		s.Add(c.name, c.value)
		if s.consoleFree() != c.free {
			t.Errorf("%s %s: %v", c.name, c.value, !c.free)
		}
	}
	needEmulator(t)
	b, r := kilntest.NewBuild(t)
	mine := filepath.Join(t.TempDir(), "mine")
	m, err := Start(t.Context(), b, small(t, talker(t, "hello"), Switch{"-serial", []string{"file:" + mine}}))
	if err != nil {
		t.Fatal(err)
	}
	kilntest.Eventually(t, "the guest's words", func() bool {
		text, err := os.ReadFile(mine)
		return err == nil && string(text) == "hello"
	})
	if m.Console != "" {
		t.Errorf("it has %s too", m.Console)
	}
	tidy(t, b, r)
}

// An emulator that cannot do what it should is noticed at once, with its own words.
func TestEarlyDeath(t *testing.T) {
	needEmulator(t)
	b, r := kilntest.NewBuild(t)
	_, err := Start(t.Context(), b, small(t, talker(t, ""), Switch{"-device", []string{"no-such-card"}}))
	if err == nil || !strings.Contains(err.Error(), "qemu-system-x86_64: exit status 1: ") ||
		!strings.Contains(err.Error(), "'no-such-card' is not a valid device model name") {
		t.Errorf("got %v", err)
	}
	if _, err := Start(t.Context(), b, Config{Program: "qemu-system-nope"}); err == nil ||
		!strings.Contains(err.Error(), "executable file not found") {
		t.Errorf("got %v", err)
	}
	m, err := Start(t.Context(), b, small(t, talker(t, ""), Switch{Name: "-version"}))
	if err != nil || m.Monitor != nil || m.Running() {
		t.Errorf("got %v, %v", m, err)
	}
	tidy(t, b, r)
}

func TestStartCancelled(t *testing.T) {
	needEmulator(t)
	b, r := kilntest.NewBuild(t)
	ctx, cancel := context.WithCancel(t.Context())
	r.OnOwn = func(int, kiln.Resource) error {
		cancel()
		return nil
	}
	if _, err := Start(ctx, b, small(t, talker(t, ""))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	tidy(t, b, r)
}

func TestImg(t *testing.T) {
	needEmulator(t)
	b, r := kilntest.NewBuild(t)
	disk := filepath.Join(t.TempDir(), "disk")
	if _, err := Img(t.Context(), b, "create", "-f", "qcow2", disk, "40960M"); err != nil {
		t.Fatal(err)
	}
	image, err := ImageOf(t.Context(), b, disk)
	if err != nil || image.Format != "qcow2" || image.Size != 40<<30 || image.Backing != "" {
		t.Errorf("%+v, %v", image, err)
	}
	_, err = Img(t.Context(), b, "resize", "-f", "qcow2", disk, "1G")
	if err == nil || !strings.HasPrefix(err.Error(), "QemuImg error: ") || !strings.Contains(err.Error(), "--shrink") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Img(ctx, b, "info", disk); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	tidy(t, b, r)
}

func TestTPM(t *testing.T) {
	needEmulator(t)
	t.Setenv("TMPDIR", "/tmp") // a test's own name is too long for a socket
	b, r := kilntest.NewBuild(t)
	socket, err := StartTPM(t.Context(), b, false)
	if err != nil {
		t.Fatal(err)
	}
	h := Hardware{
		Name: "x", MachineType: "q35", Memory: 16, BIOS: talker(t, "up"), TPM: socket, TPMDevice: "tpm-tis",
	}
	c := small(t, "")
	c.Switches = h.Switches()
	m, err := Start(t.Context(), b, c)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := m.Monitor.Execute(t.Context(), "query-tpm", nil); err != nil || !strings.Contains(string(out), "tpm0") {
		t.Errorf("%s, %v", out, err)
	}
	tidy(t, b, r)
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket is still there")
	}
}

func TestLastLines(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "",
		"a\nb\nc\n":                  "b|c",
		"\x1b[0;1;31mred\x1b[0m\n":   "red",
		"10%\r20%\rdone\n \n\t\nend": "done|end",
		"a\x00b\xff\x07\n":           "ab\uFFFD",
		"\x1b]0;t\x07x":              "]0;tx",
	} {
		if got := strings.Join(lastLines(text, 2), "|"); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	path := filepath.Join(t.TempDir(), "console")
	if err := os.WriteFile(path, []byte(strings.Repeat("line\n", 10_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if lines, err := Tail(path, 3); err != nil || len(lines) != 3 {
		t.Errorf("%q, %v", lines, err)
	}
}
