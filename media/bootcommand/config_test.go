package bootcommand

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kiln"
	"kiln/kilntest"
	"kiln/schema"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		cfg  VNCConfig
		want string // the errors, a line each
	}{
		{VNCConfig{}, ""},
		{VNCConfig{DisableVNC: true}, ""},
		{VNCConfig{Config: Config{BootCommand: []string{"<wait{{ .N }}><enter>", "{{ bad"}}}, ""},
		{VNCConfig{Config: Config{BootCommand: []string{"<wait-", "1m>", "<wait-2s>"}}},
			"boot_command: Expecting a positive wait value. Got -1m0s\n" +
				"boot_command: Expecting a positive wait value. Got -2s"},
		{VNCConfig{Config: Config{BootCommand: []string{"\xff"}}}, "boot_command: 1:1 (0): invalid encoding"},
		{VNCConfig{Config: Config{BootCommand: []string{"a"}}, DisableVNC: true},
			"disable_vnc: A boot command cannot be used when vnc is disabled."},
		{VNCConfig{Config: Config{BootCommand: []string{"a"}}, BootSteps: [][]string{{"b", "c"}}},
			"boot_steps: boot_command and boot_steps cannot be used together"},
		{VNCConfig{BootSteps: [][]string{{}, {"a"}, {"<wait-1s>", "x"}}},
			"boot_steps: Expecting a positive wait value. Got -1s"},
		{VNCConfig{BootSteps: [][]string{{"a"}}, DisableVNC: true},
			"boot_steps: boot_steps are not typed when vnc is disabled"},
	} {
		var got []string
		for _, err := range kiln.Errors(c.cfg.Check()) {
			var field *kiln.FieldError
			if !errors.As(err, &field) {
				t.Fatalf("%v names no field", err)
			}
			got = append(got, field.Field+": "+field.Error())
		}
		if all := strings.Join(got, "\n"); all != c.want {
			t.Errorf("%+v: got %s\nwant %s", c.cfg, all, c.want)
		}
	}
}

// Builders that embed the configuration have its options.
func TestOptions(t *testing.T) {
	type builder struct {
		Boot VNCConfig `kiln:",squash"`
	}
	var names []string
	for _, f := range schema.Of(new(builder)).Fields {
		names = append(names, f.Name)
		if (f.Name == "boot_command" || f.Name == "boot_steps") != (f.Render == schema.RenderRun) {
			t.Errorf("%s is rendered %s", f.Name, f.Render)
		}
	}
	want := []string{"boot_command", "boot_wait", "boot_keygroup_interval", "boot_steps", "boot_key_interval",
		"disable_vnc"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

// record notes what is typed and when, from the time it was made.
type record struct {
	from  time.Time
	lines []string
}

func newRecord() *record { return &record{from: time.Now()} }

func (r *record) note(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf("%v ", time.Since(r.from))+fmt.Sprintf(format, args...))
}

func (r *record) key(_ context.Context, keysym uint32, down bool) error {
	r.note("%04x %t", keysym, down)
	return nil
}

func (r *record) send(_ context.Context, codes []string) error {
	r.note("%s", strings.Join(codes, " "))
	return nil
}

func (r *record) is(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, r.lines); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestTypingOverVNC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, rec := kilntest.NewBuild(t)
		b.Set("Name", "the build's")
		c := VNCConfig{Config: Config{BootCommand: []string{"{{ .Name }}", "<wait5>{{ .HTTPPort }}", "<enter>"}}}
		r := newRecord()
		if err := c.WaitForBoot(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context(), b, r.key, Vars{Name: "aB"}); err != nil {
			t.Fatal(err)
		}
		r.note("end")
		r.is(t,
			"10s 0061 true", "10.01s 0061 false",
			"10.02s ffe1 true", "10.03s 0042 true", "10.04s 0042 false", "10.05s ffe1 false",
			"15.06s 0030 true", "15.07s 0030 false", "15.08s ff0d true", "15.09s ff0d false", "15.1s end")
		want := []string{"Waiting 10s for boot...", "Typing the boot commands over VNC..."}
		if got := rec.Texts(kiln.EventSay); !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	})
}

func TestTypingScanCodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, rec := kilntest.NewBuild(t)
		c := Config{
			BootCommand:   []string{"aaaaaaaaaaa", "A", "aaaaaaaaaa<up>", "<wait1m>", "b"},
			BootWait:      time.Minute,
			GroupInterval: time.Second,
		}
		r := newRecord()
		if err := c.WaitForBoot(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context(), b, r.send, Vars{}); err != nil {
			t.Fatal(err)
		}
		r.note("end")
		a := func(n int) string { return strings.TrimSuffix(strings.Repeat("1e 9e ", n), " ") }
		r.is(t, "1m0s "+a(11), "1m1s 2a 1e 9e aa "+a(10), "1m2s e0 48 e0 c8", "2m3s 30 b0", "2m4s end")
		want := []string{"Waiting 1m0s for boot...", "Typing the boot command..."}
		if got := rec.Texts(kiln.EventSay); !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	})
}

// Two thousand characters: each arrives, in order.
func TestNothingIsLost(t *testing.T) {
	text := strings.Repeat(`The quick brown fox, 0123456789 !@#$%^&*()_+{}|:"<>?~`, 40)
	var vnc, scan []byte
	typeOver := OverVNC(func(_ context.Context, keysym uint32, down bool) error {
		if down && keysym != shiftKeysym {
			vnc = append(vnc, byte(keysym))
		}
		return nil
	}, 0)
	shift := 0
	typeBy := ByScanCodes(func(_ context.Context, codes []string) error {
		if len(codes) > groupSize {
			t.Errorf("%d codes at once", len(codes))
		}
		for _, code := range codes {
			var c byte
			if _, err := fmt.Sscanf(code, "%x", &c); err != nil {
				t.Error(err)
			}
			switch {
			case c == shiftScan:
				shift = 1
			case c == shiftScan+0x80:
				shift = 0
			case c < 0x80:
				scan = append(scan, level(c, shift))
			}
		}
		return nil
	}, 0)
	b, _ := kilntest.NewBuild(t)
	for _, typist := range []Typist{typeOver, typeBy} {
		if err := Type(t.Context(), b, typist, text, Vars{}); err != nil {
			t.Fatal(err)
		}
	}
	if string(vnc) != text || string(scan) != text {
		t.Errorf("got %s\nand %s", vnc, scan)
	}
}

// level is the character of a key without shift, or with it.
func level(code byte, shift int) byte {
	for i, row := range rows {
		if at := int(code) - int(row.first); at >= 0 && at < len(row.chars) && (row.first == 0x39 || i%2 == shift) {
			return row.chars[at]
		}
	}
	return 0
}

func TestInterval(t *testing.T) {
	for _, c := range []struct {
		field                time.Duration
		kilnText, packerText string
		want                 time.Duration
	}{
		{0, "", "", 100 * time.Millisecond},
		{0, "", "7ms", 7 * time.Millisecond},
		{0, "", "0s", 0},
		{0, "", "soon", 100 * time.Millisecond},
		{0, "3ms", "7ms", 3 * time.Millisecond},
		{time.Second, "3ms", "7ms", time.Second},
		{-time.Second, "", "7ms", 7 * time.Millisecond},
	} {
		t.Run("", func(t *testing.T) {
			t.Setenv("PACKER_KEY_INTERVAL", c.packerText)
			if c.kilnText != "" {
				t.Setenv("KILN_KEY_INTERVAL", c.kilnText)
			}
			if got := interval(c.field, usualInterval); got != c.want {
				t.Errorf("%+v: got %s", c, got)
			}
		})
	}
}

func TestWaitForBoot(t *testing.T) {
	typing := Config{BootCommand: []string{"a"}}
	for _, c := range []struct {
		cfg  VNCConfig
		want time.Duration
	}{
		{VNCConfig{Config: typing}, 10 * time.Second},
		{VNCConfig{BootSteps: [][]string{{"a"}}}, 10 * time.Second},
		{VNCConfig{Config: Config{BootCommand: typing.BootCommand, BootWait: -1}}, 0},
		{VNCConfig{Config: Config{BootCommand: typing.BootCommand, BootWait: 3}}, 3},
		{VNCConfig{}, 0}, // connecting waits for the machine
		{VNCConfig{Config: Config{BootWait: 5}}, 5},      // as the template says
		{VNCConfig{Config: typing, DisableVNC: true}, 0}, // refused by Check
		{VNCConfig{Config: Config{BootWait: 5}, DisableVNC: true}, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			b, _ := kilntest.NewBuild(t)
			from := time.Now()
			if err := c.cfg.WaitForBoot(t.Context(), b); err != nil || time.Since(from) != c.want {
				t.Errorf("%+v: %v after %s", c.cfg, err, time.Since(from))
			}
		})
	}
}

func TestSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, rec := kilntest.NewBuild(t)
		b.Debug = true
		rec.Ask = func(_ context.Context, _, question string) (string, error) {
			b.Say("asked: %s", question)
			return "", nil
		}
		c := VNCConfig{
			BootSteps:   [][]string{{"a", "the first"}, {}, {"b"}, {"{{ .HTTPIP }}", "the last"}},
			KeyInterval: time.Second,
		}
		r := newRecord()
		if err := c.Run(t.Context(), b, r.key, Vars{HTTPIP: "1"}); err != nil {
			t.Fatal(err)
		}
		r.is(t, "0s 0061 true", "1s 0061 false", "2s 0062 true", "3s 0062 false", "4s 0031 true", "5s 0031 false")
		want := []string{
			"Typing the boot commands over VNC...",
			"Typing boot command for: the first",
			`asked: Pausing after boot step "the first". Press enter to continue.`,
			`asked: Pausing after boot step "". Press enter to continue.`,
			"Typing boot command for: the last",
			`asked: Pausing after boot step "the last". Press enter to continue.`,
		}
		if diff := cmp.Diff(want, rec.Texts(kiln.EventSay)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestErrors(t *testing.T) {
	b, _ := kilntest.NewBuild(t)
	broken := errors.New("the wire is cut")
	for _, c := range []struct {
		text, want string
	}{
		{"{{ .Name", "Error preparing boot command: "},
		{"<wait{{ .HTTPIP }}>", "Error generating boot command: Expecting a positive wait value. Got -1s"},
		{"a", "Error running boot command: the wire is cut"},
	} {
		for _, typist := range []Typist{
			OverVNC(func(context.Context, uint32, bool) error { return broken }, 0),
			ByScanCodes(func(context.Context, []string) error { return broken }, 0),
		} {
			err := Type(t.Context(), b, typist, c.text, Vars{HTTPIP: "-1s"})
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%q: got %v, want %s", c.text, err, c.want)
			}
		}
	}
}

// A build that is cancelled does not type on, wherever it is.
func TestCancel(t *testing.T) {
	why := errors.New("enough")
	for text, want := range map[string]string{
		"a<wait1h>b": "0s 0061 true,100ms 0061 false",
		"abc":        "0s 0061 true,100ms 0061 false,200ms 0062 true,300ms 0062 false",
	} {
		synctest.Test(t, func(t *testing.T) {
			b, _ := kilntest.NewBuild(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(350*time.Millisecond, func() { cancel(why) })
			r := newRecord()
			c := VNCConfig{Config: Config{BootCommand: []string{text}}, KeyInterval: 100 * time.Millisecond}
			if err := c.Run(ctx, b, r.key, Vars{}); !errors.Is(err, why) {
				t.Errorf("got %v", err)
			}
			r.is(t, strings.Split(want, ",")...)
			if waited := time.Since(r.from); waited != 350*time.Millisecond {
				t.Errorf("it ended after %s", waited)
			}
		})
	}
}
