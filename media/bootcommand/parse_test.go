package bootcommand

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// chars are the actions that type a text as it stands.
func chars(text string) (all []Action) {
	for _, c := range text {
		all = append(all, Action{Kind: Press, Char: c})
	}
	return all
}

func waits(d time.Duration) []Action { return []Action{{Kind: Wait, For: d}} }

// Every row of docs/compat/boot-and-media.md 1.2.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want []Action
	}{
		{"", nil},
		{"<wait>", waits(time.Second)},
		{"<WAIT>", chars("<WAIT>")},
		{"<Wait5>", chars("<Wait5>")},
		{"<wait5>", waits(5 * time.Second)},
		{"<wait120>", waits(2 * time.Minute)},
		{"<wait1.5s>", waits(1500 * time.Millisecond)},
		{"<wait1m30s>", waits(90 * time.Second)},
		{"<wait300ms>", waits(300 * time.Millisecond)},
		{"<wait1h2m3s4ms5us6ns>", waits(time.Hour + 2*time.Minute + 3*time.Second + 4005006)},
		{"<wait7µs>", waits(7 * time.Microsecond)},
		{"<fOn>", []Action{{Kind: Hold, Char: 'f'}}},
		{"<fOff>", []Action{{Kind: Release, Char: 'f'}}},
		{"<<on>", []Action{{Kind: Hold, Char: '<'}}},
		{"<>OFF>", []Action{{Kind: Release, Char: '>'}}},
		{"<éOn>", []Action{{Kind: Hold, Char: 'é'}}},
		{"<wOn>", []Action{{Kind: Hold, Char: 'w'}}},
		{"<\nOn>", []Action{{Kind: Hold, Char: '\n'}}},
		{"<enter>", []Action{{Key: "enter"}}},
		{"<ENTER>", []Action{{Key: "enter"}}},
		{"<F12>", []Action{{Key: "f12"}}},
		{"<pagedown>", []Action{{Key: "pageDown"}}},
		{"<leftCtrlOn>", []Action{{Kind: Hold, Key: "leftCtrl"}}},
		{"<LEFTCTRLoFF>", []Action{{Kind: Release, Key: "leftCtrl"}}},
		{"<leftOption>", []Action{{Key: "leftOption"}}},
		{"<leftOptionOn>", []Action{{Kind: Hold, Key: "leftOption"}}},
		{"<f1On><f11Off>", []Action{{Kind: Hold, Key: "f1"}, {Kind: Release, Key: "f11"}}},
		{"ab", chars("ab")},
		// The measured corner cases.
		{"<wait0>", waits(time.Second)},
		{"<wait0s>", waits(0)},
		{"<wait1.5>", chars("<wait1.5>")},
		{"<wait05>", chars("<wait05>")},
		{"<wait05s>", chars("<wait05s>")},
		{"<wait 5>", chars("<wait 5>")},
		{"<wait10S>", chars("<wait10S>")},
		{"<wait-5>", chars("<wait-5>")},
		{"<wait5s5>", chars("<wait5s5>")},
		{"<waitOn>", chars("<waitOn>")},
		{"<delete>", chars("<delete>")},
		{"<space>", chars("<space>")},
		{"<pgup>", chars("<pgup>")},
		{"<win>", chars("<win>")},
		{"<lt>", chars("<lt>")},
		{"<f13>", chars("<f13>")},
		{"<enter", chars("<enter")},
		{"<ab", chars("<ab")},
		{"<", chars("<")},
		{"<>", chars("<>")},
		{"<aO>", chars("<aO>")},
		{"<on>", chars("<on>")},
		{"< enter>", chars("< enter>")},
		{"a\nb\tc", chars("a\nb\tc")},
		{"\ufffd", chars("\ufffd")},
		// What does not fit is typed, and what stands in it is read.
		{"<x<enter>>", slices.Concat(chars("<x"), []Action{{Key: "enter"}}, chars(">"))},
		{"<wait <wait2>", slices.Concat(chars("<wait "), waits(2*time.Second))},
		{"<<aOn>", slices.Concat(chars("<"), []Action{{Kind: Hold, Char: 'a'}})},
		// Template text is not rendered yet.
		{"{{ .HTTPIP }}<enter>", slices.Concat(chars("{{ .HTTPIP }}"), []Action{{Key: "enter"}})},
		{"<wait{{ .N }}>", chars("<wait{{ .N }}>")},
	} {
		got, err := Parse(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.text, diff)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a<wait-1m>b", "Expecting a positive wait value. Got -1m0s"},
		{"<wait-1m><wait-2s>",
			"Expecting a positive wait value. Got -1m0s\nExpecting a positive wait value. Got -2s"},
		{"<wait-0.5s>", "Expecting a positive wait value. Got -500ms"},
		{"<wait2m-30s>", `<wait2m-30s>: time: unknown unit "m-" in duration "2m-30s"`},
		{"<wait99999999999>", `<wait99999999999s>: time: invalid duration "99999999999s"`},
		{"\xff", "1:1 (0): invalid encoding"},
		{"é\nab\xc3", "2:3 (5): invalid encoding"},
	} {
		got, err := Parse(c.text)
		if err == nil || err.Error() != c.want || got != nil {
			t.Errorf("%q: got %v, %v, want %s", c.text, got, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"<wait>", "<wait1m30s>", "<wait-1m>", "<wait0>", "<<on>", "<éOff>", "<leftCtrlOn>c<leftCtrlOff>", "<enter",
		"A<f12>\n", "<wait1.5>", "\xff", "<<<wait2>", "<leftOptionOff>",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		actions, err := Parse(text)
		if err != nil {
			return
		}
		var again strings.Builder
		held := map[uint32]int{}
		for _, a := range actions {
			again.WriteString(a.String())
			events, codes := KeyEvents(a), ScanCodes(a)
			if (a.Kind == Wait) != (len(events) == 0) || (a.Kind == Wait) != (len(codes) == 0) || a.For < 0 {
				t.Errorf("%q: %v gives %v and %x", text, a, events, codes)
			}
			if len(codes) > groupSize {
				t.Errorf("%q: %v has more codes than are sent at once", text, a)
			}
			if a.Kind != Press {
				continue
			}
			for _, e := range events {
				if held[e.Keysym]++; !e.Down {
					held[e.Keysym] -= 2
				}
			}
		}
		for k, n := range held {
			if n != 0 {
				t.Errorf("%q: key %x is pressed %d times more than released", text, k, n)
			}
		}
		// What was read says the same again.
		second, err := Parse(again.String())
		if err != nil {
			t.Fatalf("%q became %q: %v", text, again.String(), err)
		}
		if !slices.Equal(actions, second) {
			t.Errorf("%q became %q: %v and %v", text, again.String(), actions, second)
		}
	})
}
