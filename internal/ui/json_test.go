package ui

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kiln"
)

// Each event is in the file when it has happened: a kill loses none.
func TestEventsAreWrittenAsTheyHappen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "events.jsonl")
	f, err := NewEventFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range 10 {
		f.Event(kiln.Event{Kind: kiln.EventOut, Build: "a", Text: fmt.Sprint("line ", i)})
		text, err := os.ReadFile(path)
		if err != nil || !strings.HasSuffix(string(text), fmt.Sprintf("\"text\":\"line %d\"}\n", i)) {
			t.Fatalf("%v: %s", err, text)
		}
	}
}

// A run that prints without end fills no disk: what it did is kept, and the end of what
// the step printed that failed.
func TestEventFileIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	f, err := NewEventFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f.room = 4096
	send := func(e kiln.Event) { e.Build, e.Component = "a", "provisioner.shell"; f.Event(e) }
	f.Event(kiln.Event{Kind: kiln.EventRunStart, Data: []string{"a"}})
	for step := 1; step <= 3; step++ {
		send(kiln.Event{Kind: kiln.EventStepStart, Step: step, Text: "shell"})
		for i := range 10_000 {
			send(kiln.Event{Kind: kiln.EventOut, Step: step, Text: fmt.Sprintf("step %d line %d", step, i)})
		}
		end := kiln.Event{Kind: kiln.EventStepEnd, Step: step, Text: "shell"}
		if step == 3 {
			end.Error = "it broke"
		}
		send(end)
	}
	send(kiln.Event{Kind: kiln.EventBuildEnd, Error: "it broke", Result: kiln.OutcomeFailed})
	f.Event(kiln.Event{Kind: kiln.EventRunEnd, Result: kiln.OutcomeFailed})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 16<<10 {
		t.Errorf("%d bytes", len(text))
	}
	var b bytes.Buffer
	if err := Replay(bytes.NewReader(text), NewPlain(&b, PlainOptions{})); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"step 1 line 0", "step 3 line 9999", "    step 3 line 9980", "Build 'a' errored",
		"a failed in step 3", "Wait completed"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is lost: %s", want, &b)
		}
	}
	if n := strings.Count(b.String(), "The log of this run is full"); n != 1 {
		t.Errorf("marked %d times", n)
	}
	if strings.Contains(b.String(), "step 2 line 9999") || strings.Contains(b.String(), "step 3 line 9979") {
		t.Error("more is kept than there is room for")
	}
}

// A program that never ends its lines fills neither disk nor memory, and the summary does
// not print it all again.
func TestLongLinesAreBounded(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.jsonl")
	f, err := NewEventFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f.room = 4096
	junit, err := NewJUnit(filepath.Join(dir, "j.xml"))
	if err != nil {
		t.Fatal(err)
	}
	state := newRunState()
	all := NewFanout(f, junit, sinkFunc(state.event))
	send := func(e kiln.Event) { e.Build, e.Component = "a", "provisioner.shell"; all.Event(e) }
	send(kiln.Event{Kind: kiln.EventBuildStart})
	send(kiln.Event{Kind: kiln.EventStepStart, Step: 1})
	send(kiln.Event{Kind: kiln.EventOut, Step: 1, Text: strings.Repeat("x", 8192)}) // the file is full
	for range 3 * tail {
		send(kiln.Event{Kind: kiln.EventOut, Step: 1, Text: strings.Repeat("\x00", 1<<20) + "its end"})
	}
	send(kiln.Event{Kind: kiln.EventStepEnd, Step: 1, Error: "it broke"})
	send(kiln.Event{Kind: kiln.EventBuildEnd, Error: "it broke", Result: kiln.OutcomeFailed})
	if err := all.Close(); err != nil {
		t.Fatal(err)
	}
	for name, most := range map[string]int64{"events.jsonl": 1 << 20, "j.xml": 1 << 20} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Size() > most {
			t.Errorf("%s: %v, %d bytes", name, err, info.Size())
		}
	}
	var said string
	for _, l := range state.failed()[0].failure() {
		said += l.text
	}
	if len(said) > 1<<20 || strings.Count(said, "its end") != tail {
		t.Errorf("%d bytes, %d times the end", len(said), strings.Count(said, "its end"))
	}
}

// sinkFunc is a sink that only takes events.
type sinkFunc func(kiln.Event)

func (f sinkFunc) Event(e kiln.Event) { f(e) }
func (f sinkFunc) Close() error       { return nil }
