package ui

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kiln"
)

var update = flag.Bool("update", false, "write the golden files anew")

var start = time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)

// recorded is a run with all kinds of events: three builds, of which one fails in
// a script and one leaves something behind.
func recorded() []kiln.Event {
	at := start
	var all []kiln.Event
	add := func(e kiln.Event) {
		at = at.Add(250 * time.Millisecond)
		e.Time, e.Run = at, "run1"
		all = append(all, e)
	}
	web, db, bad := "docker.web", "null.db", "docker.bad"
	add(kiln.Event{Version: 1, Kind: kiln.EventRunStart, Text: "0.1.0", Data: []string{web, db, bad}})
	for i, b := range []string{web, db, bad} {
		add(kiln.Event{Kind: kiln.EventBuildStart, Build: b, Index: i})
		add(kiln.Event{Kind: kiln.EventPhase, Build: b, Text: "start"})
	}
	add(kiln.Event{Kind: kiln.EventSay, Build: web,
		Text: "Starting docker container...\n  with a second line  \n"})
	add(kiln.Event{Kind: kiln.EventProgress, Build: web, Text: "debian:12", Done: 5 << 20, Total: 20 << 20})
	add(kiln.Event{Kind: kiln.EventPhase, Build: web, Text: "provision"})
	add(kiln.Event{Kind: kiln.EventLayer, Build: web, Component: "provisioner.file", Step: 1, Text: "hit",
		Data: []string{"file"}})
	add(kiln.Event{Kind: kiln.EventLayer, Build: web, Component: "provisioner.shell", Step: 2,
		Text: "inline changed", Data: []string{"shell"}})
	add(kiln.Event{Kind: kiln.EventStepStart, Build: web, Component: "provisioner.shell", Step: 2, Text: "shell",
		Total: 2})
	add(kiln.Event{Kind: kiln.EventOut, Build: web, Component: "provisioner.shell", Step: 2,
		Text: "Grüße, 世界, \"quotes\", commas"})
	add(kiln.Event{Kind: kiln.EventErr, Build: web, Component: "provisioner.shell", Step: 2,
		Text: "a warning of the script"})
	add(kiln.Event{Kind: kiln.EventStepEnd, Build: web, Component: "provisioner.shell", Step: 2, Text: "shell",
		Seconds: 1.5})
	add(kiln.Event{Kind: kiln.EventPhase, Build: bad, Text: "provision"})
	add(kiln.Event{Kind: kiln.EventStepStart, Build: bad, Component: "provisioner.shell", Step: 1,
		Text: "shell setup", Total: 1})
	for i := range 25 {
		add(kiln.Event{Kind: kiln.EventOut, Build: bad, Component: "provisioner.shell", Step: 1,
			Text: "line " + string(rune('a'+i))})
	}
	add(kiln.Event{Kind: kiln.EventStepEnd, Build: bad, Component: "provisioner.shell", Step: 1,
		Text: "shell setup", Seconds: 2,
		Error: "Script exited with non-zero exit status: 7. Allowed exit codes are: [0]"})
	add(kiln.Event{Kind: kiln.EventPhase, Build: bad, Text: "cleanup"})
	add(kiln.Event{Kind: kiln.EventLeft, Build: bad, Resource: &kiln.Resource{Owner: "builder.docker",
		Kind: "container", ID: "kiln-run1-x"}})
	add(kiln.Event{Kind: kiln.EventBuildEnd, Build: bad, Index: 2, Seconds: 2.25, Result: kiln.OutcomeFailed,
		Error: "Script exited with non-zero exit status: 7. Allowed exit codes are: [0]"})
	add(kiln.Event{Kind: kiln.EventBuildEnd, Build: db, Index: 1, Seconds: 0.014589,
		Result: kiln.OutcomeSuccess})
	add(kiln.Event{Kind: kiln.EventPhase, Build: web, Text: "post-process"})
	add(kiln.Event{Kind: kiln.EventSay, Build: web, Text: "Running post-processor: docker-tag"})
	add(kiln.Event{Kind: kiln.EventStepStart, Build: web, Component: "post-processor.docker-tag", Step: 3,
		Text: "docker-tag"})
	add(kiln.Event{Kind: kiln.EventSay, Build: web, Component: "post-processor.docker-tag", Step: 3,
		Text: "Tagging image: sha256:1"})
	add(kiln.Event{Kind: kiln.EventStepEnd, Build: web, Component: "post-processor.docker-tag", Step: 3,
		Text: "docker-tag", Seconds: 0.1})
	add(kiln.Event{Kind: kiln.EventArtifact, Build: web, Index: 0,
		Artifact: &kiln.Artifact{Builder: "packer.post-processor.docker-import", ID: "sha256:1",
			Text: "Imported Docker image: sha256:1"}})
	add(kiln.Event{Kind: kiln.EventArtifact, Build: web, Index: 1,
		Artifact: &kiln.Artifact{Builder: "packer.post-processor.docker-tag", ID: "app:ü",
			Text: "Imported Docker image: app:ü", Tags: []string{"app:ü"}, Files: []string{"a,b.tar"}}})
	add(kiln.Event{Kind: kiln.EventBuildEnd, Build: web, Index: 0, Seconds: 125, Result: kiln.OutcomeSuccess})
	add(kiln.Event{Kind: kiln.EventRunEnd, Seconds: 3785, Result: kiln.OutcomeFailed,
		Data: []string{"kiln build -on-error=ask t.json", "kiln cleanup run1"}})
	return all
}

func golden(t *testing.T, name string, have []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, have, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(have)); diff != "" {
		t.Errorf("%s (-want +have):\n%s", name, diff)
	}
}

func feed(t *testing.T, s Sink) {
	t.Helper()
	for _, e := range recorded() {
		s.Event(e)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestGolden(t *testing.T) {
	t.Setenv("TZ", "UTC")
	clock := func(size func() (int, int), color bool) func(*bytes.Buffer) Sink {
		return func(b *bytes.Buffer) Sink {
			return NewLive(b, LiveOptions{Color: color, Size: size,
				Now: func() time.Time { return start.Add(20 * time.Second) }, Every: -1})
		}
	}
	for name, open := range map[string]func(*bytes.Buffer) Sink{
		"plain.txt":       func(b *bytes.Buffer) Sink { return NewPlain(b, PlainOptions{}) },
		"plain-color.txt": func(b *bytes.Buffer) Sink { return NewPlain(b, PlainOptions{Color: true, Terminal: true}) },
		"plain-piped.txt": func(b *bytes.Buffer) Sink { return NewPlain(b, PlainOptions{Color: true}) },
		"machine.txt":     func(b *bytes.Buffer) Sink { return NewMachineReadable(b) },
		"events.jsonl":    func(b *bytes.Buffer) Sink { return NewJSON(b) },
		"live-wide.txt":   clock(func() (int, int) { return 120, 30 }, true),
		"live-narrow.txt": clock(func() (int, int) { return 50, 12 }, false),
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			feed(t, open(&b))
			golden(t, name, b.Bytes())
		})
	}
}

func TestGoldenFiles(t *testing.T) {
	dir := t.TempDir()
	for name, open := range map[string]func(string) Sink{
		"junit.xml":            func(p string) Sink { return NewJUnit(p) },
		"artifacts.properties": func(p string) Sink { return NewProperties(p) },
	} {
		path := filepath.Join(dir, name)
		feed(t, open(path))
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, text)
	}
}

// The event file is the log: reading it again gives the same screen.
func TestReplay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs", "events.jsonl")
	file, err := NewEventFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var live, again bytes.Buffer
	feed(t, NewFanout(file, NewPlain(&live, PlainOptions{Color: true})))
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Replay(f, NewPlain(&again, PlainOptions{Color: true})); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(live.String(), again.String()); diff != "" {
		t.Error(diff)
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		14589 * time.Microsecond: "14 milliseconds 589 microseconds",
		1788 * time.Millisecond:  "1 second 788 milliseconds",
		125 * time.Second:        "2 minutes 5 seconds", 63 * time.Minute: "1 hour 3 minutes", 0: "0 seconds",
		time.Second: "1 second",
	} {
		if have := Duration(d); have != want {
			t.Errorf("%d: got %q, want %q", d, have, want)
		}
	}
}

func TestNarrowRowsFit(t *testing.T) {
	var b bytes.Buffer
	l := NewLive(&b, LiveOptions{Size: func() (int, int) { return 40, 9 },
		Now: func() time.Time { return start }, Every: -1})
	for _, e := range recorded() {
		l.Event(e)
	}
	for i := range 20 {
		l.Event(kiln.Event{Time: start, Kind: kiln.EventBuildStart, Build: strings.Repeat("世", i+1)})
	}
	rows := strings.Split(strings.TrimSuffix(l.rows(), "\n"), "\n")
	if len(rows) > 4 {
		t.Errorf("%d rows in a window of 9 lines", len(rows))
	}
	for _, r := range rows {
		if w := len([]rune(r)); w > 40 {
			t.Errorf("a row of %d in a window of 40: %q", w, r)
		}
	}
	if err := l.Close(); err != nil || !strings.HasSuffix(b.String(), "\x1b[?25h") {
		t.Errorf("the cursor is not given back: %v", err)
	}
}

func FuzzReplay(f *testing.F) {
	f.Add([]byte(`{"kind":"run_start","data":["a"]}` + "\n" + `{"kind":"build_end","build":"a","error":"x"}`))
	f.Add([]byte(`{"kind":"artifact","build":"a"}` + "\n" + `{"kind":"run_end"}` + "\n{"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var b bytes.Buffer
		for _, s := range []Sink{NewPlain(&b, PlainOptions{Color: true}), NewMachineReadable(&b), NewJSON(&b),
			NewLive(&b, LiveOptions{Every: -1})} {
			if err := Replay(bytes.NewReader(text), s); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
