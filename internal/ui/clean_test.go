package ui

import (
	"bytes"
	"strings"
	"testing"

	"kiln"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain, Grüße, 世界\tx\ny":                          "plain, Grüße, 世界\tx\ny",
		"\x1b[31mred\x1b[0m":                              "red",
		"a\x1b]0;title\x07b":                              "ab",
		"a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\":       "alink",
		"bell\a back\b\b over\r":                          "bell back over",
		"\u009b2Jcleared? \u0085":                         "2Jcleared? ",
		"\x1b[?1049h\x1b[2J\x1b[10;10Hgone\x7f":           "gone",
		"\x1bPq#0;2;0;0;0\x1b\\dcs":                       "dcs",
		"\x1b[38;2;1;2;3mtrue colour\x1b[m and \x1b(Bset": "true colour and set",
	} {
		if have := Clean(in); have != want {
			t.Errorf("%q: got %q, want %q", in, have, want)
		}
	}
}

// On a terminal no word of a guest does more than stand there; in a file it stays as it
// came.
func TestNothingControlsTheTerminal(t *testing.T) {
	const evil = "\x1b]0;owned\a\x1b[2Jshown\x1b[8m"
	events := []kiln.Event{
		{Kind: kiln.EventRunStart, Data: []string{"a"}},
		{Kind: kiln.EventBuildStart, Build: "a"},
		{Kind: kiln.EventStepStart, Build: "a", Component: "provisioner.shell", Step: 1, Text: evil},
		{Kind: kiln.EventOut, Build: "a", Text: evil}, {Kind: kiln.EventErr, Build: "a", Text: evil},
		{Kind: kiln.EventSay, Build: "a", Text: evil}, {Kind: kiln.EventPrompt, Build: "a", Text: evil},
		{Kind: kiln.EventError, Text: evil}, {Kind: kiln.EventProgress, Build: "a", Text: evil, Total: 1},
		{Kind: kiln.EventStepEnd, Build: "a", Component: "provisioner.shell", Step: 1, Text: evil, Error: evil},
		{Kind: kiln.EventLeft, Build: "a", Resource: &kiln.Resource{Kind: "file", ID: evil}},
		{Kind: kiln.EventArtifact, Build: "a", Artifact: &kiln.Artifact{Text: evil}},
		{Kind: kiln.EventBuildEnd, Build: "a", Error: evil, Result: kiln.OutcomeFailed},
		{Kind: kiln.EventRunEnd, Data: []string{evil}},
	}
	var plain, live, file bytes.Buffer
	for _, s := range []Sink{NewPlain(&plain, PlainOptions{Terminal: true}),
		NewLive(&live, LiveOptions{Every: -1}), NewPlain(&file, PlainOptions{})} {
		for _, e := range events {
			s.Event(e)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if strings.ContainsAny(plain.String(), "\x1b\a") {
		t.Errorf("%q", plain.String())
	}
	for _, bad := range []string{"\x1b[2J", "\x1b]", "\x1b[8m", "\a"} {
		if strings.Contains(live.String(), bad) {
			t.Errorf("the live view has %q: %q", bad, live.String())
		}
	}
	if strings.Count(file.String(), evil) < 8 {
		t.Errorf("a file is not as it was printed: %q", file.String())
	}
}
