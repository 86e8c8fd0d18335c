package ui

import (
	"bufio"
	"encoding/json"
	"errors"
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

// EventFile keeps the events of a run in a file, from which Replay shows them
// again.
type EventFile struct {
	JSON
	file *os.File
	buf  *bufio.Writer
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
	buf := bufio.NewWriterSize(f, 64<<10)
	return &EventFile{JSON: JSON{out: buf}, file: f, buf: buf}, nil
}

// Event writes one event. What ends a step, a build or the run is written through,
// so that a crash loses no more than a step's last lines.
func (f *EventFile) Event(e kiln.Event) {
	f.JSON.Event(e)
	switch e.Kind {
	case kiln.EventRunStart, kiln.EventStepStart, kiln.EventStepEnd, kiln.EventBuildEnd, kiln.EventRunEnd,
		kiln.EventPhase:
		if err := f.buf.Flush(); err != nil && f.err == nil {
			f.err = fmt.Errorf("write events: %w", err)
		}
	}
}

// Close writes the rest and closes the file.
func (f *EventFile) Close() error {
	return errors.Join(f.JSON.Close(), f.buf.Flush(), f.file.Close())
}

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
