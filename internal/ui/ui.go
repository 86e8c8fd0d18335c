// Package ui renders the event stream of a run: for people as Packer prints it or
// as a live view, for machines as lines, XML or properties. A sink sees masked
// events only and takes its text from nowhere else.
package ui

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"kiln"
)

// A Sink takes the events of a run, one at a time, and is closed at its end.
// Errors of writing are kept and returned by Close: output that cannot be written
// must not end a build.
type Sink interface {
	Event(kiln.Event)
	Close() error
}

// Fanout sends each event to several sinks, one event at a time.
type Fanout struct {
	mu    sync.Mutex
	sinks []Sink
}

// NewFanout makes a fan-out to sinks, which get each event in this order.
func NewFanout(sinks ...Sink) *Fanout { return &Fanout{sinks: sinks} }

// Event may be called side by side.
func (f *Fanout) Event(e kiln.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.sinks {
		s.Event(e)
	}
}

// Close closes all sinks and joins their errors.
func (f *Fanout) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	for _, s := range f.sinks {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// flush makes a question appear at once on a writer that may hold a part back.
func flush(out io.Writer) {
	if f, ok := out.(interface{ Flush() error }); ok {
		_ = f.Flush() // the next write fails too, and is reported
	}
}

// Duration writes a length of time as its two largest units: "1 second 788
// milliseconds".
func Duration(d time.Duration) string {
	units := []struct {
		name string
		size time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second},
		{"millisecond", time.Millisecond}, {"microsecond", time.Microsecond}, {"nanosecond", 1}}
	text, count := "", 0
	for _, u := range units {
		n := d / u.size
		d -= n * u.size
		if n == 0 || count == 2 {
			continue
		}
		if text != "" {
			text += " "
		}
		text += fmt.Sprintf("%d %s", n, u.name)
		if n != 1 {
			text += "s"
		}
		count++
	}
	if text == "" {
		return "0 seconds"
	}
	return text
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
