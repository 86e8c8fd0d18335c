package ui

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"kiln"
)

// JSON writes each event as a JSON object on a line of its own: docs/events.md.
type JSON struct {
	out io.Writer
	err error
}

// NewJSON makes a JSON sink.
func NewJSON(out io.Writer) *JSON { return &JSON{out: out} }

// Event writes one event.
func (j *JSON) Event(e kiln.Event) {
	text, err := json.Marshal(e)
	if err == nil {
		_, err = j.out.Write(append(text, '\n'))
	}
	if err != nil && j.err == nil {
		j.err = fmt.Errorf("write events: %w", err)
	}
}

// Close returns the first error of writing.
func (j *JSON) Close() error { return j.err }

// maxEvents bounds an event file. A run that prints more than that is seldom read.
const maxEvents = 64 << 20

// EventFile keeps the events of a run in a file, from which Replay shows them
// again. Each is written as it happens, so that a crash loses none. Where they
// would be too many, only what the run did is kept, and of its output the end of each
// step that failed.
type EventFile struct {
	JSON
	file *os.File
	room int64                   // bytes that output may still take
	last map[string][]kiln.Event // of each build, the newest output that was dropped
}

// NewEventFile makes the file and the folder it is in.
func NewEventFile(path string) (*EventFile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("event file: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("event file: %w", err)
	}
	file := &EventFile{file: f, room: maxEvents, last: map[string][]kiln.Event{}}
	file.out = &counted{f, &file.room}
	return file, nil
}

// counted takes what is written off the room that there is.
type counted struct {
	io.Writer
	room *int64
}

func (c *counted) Write(p []byte) (int, error) {
	*c.room -= int64(len(p))
	return c.Writer.Write(p)
}

// Event writes one event.
func (f *EventFile) Event(e kiln.Event) {
	switch e.Kind {
	case kiln.EventOut, kiln.EventErr, kiln.EventSay, kiln.EventProgress:
		if f.room <= 0 {
			f.drop(e)
			return
		}
	case kiln.EventStepStart:
		delete(f.last, e.Build)
	case kiln.EventStepEnd:
		if e.Error != "" {
			for _, line := range f.last[e.Build] {
				f.JSON.Event(line)
			}
		}
		delete(f.last, e.Build)
	}
	full := f.room <= 0
	f.JSON.Event(e)
	if !full && f.room <= 0 {
		f.mark(e)
	}
}

// mark says in the file that it is full.
func (f *EventFile) mark(e kiln.Event) {
	f.JSON.Event(kiln.Event{Time: e.Time, Run: e.Run, Kind: kiln.EventWarn,
		Text: "The log of this run is full: of the output from here on, only the end of failed steps is kept."})
}

// drop remembers the newest lines of what is not written.
func (f *EventFile) drop(e kiln.Event) {
	if e.Kind == kiln.EventOut || e.Kind == kiln.EventErr {
		e.Text = endOf(e.Text)
		lines := append(f.last[e.Build], e)
		f.last[e.Build] = lines[max(0, len(lines)-tail):]
	}
}

// Close closes the file.
func (f *EventFile) Close() error { return cmp.Or(f.JSON.Close(), f.file.Close()) }

// Replay feeds a sink with the events of a file. A line that is torn, as the last
// one of a crashed run, is passed over.
func Replay(r io.Reader, s Sink) error {
	in := bufio.NewReader(r)
	for {
		text, err := in.ReadBytes('\n')
		var e kiln.Event
		if len(text) > 1 && json.Unmarshal(text, &e) == nil {
			s.Event(e)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
