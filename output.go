package kiln

import (
	"bytes"
	"strings"
	"sync"
)

// maxLine bounds how much of a line without an end is held back.
const maxLine = 8 << 20

// Output is a writer that turns what a command prints into events, a line each:
// trailing spaces go, and of a line that was overwritten with carriage returns
// the last version stays. Close sends what is left over.
func (b *Build) Output(kind EventKind) *LineWriter {
	return &LineWriter{Line: func(s string) { b.Emit(Event{Kind: kind, Text: s}) }}
}

// LineWriter cuts a stream into lines as a screen would show them.
type LineWriter struct {
	Line func(string)

	mu  sync.Mutex
	buf []byte
}

// Write never fails.
func (w *LineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for rest := p; ; {
		// What was held back has no line end in it.
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			w.buf = append(w.buf, rest...)
			break
		}
		w.send(append(w.buf, rest[:i]...))
		w.buf, rest = w.buf[:0], rest[i+1:]
	}
	if len(w.buf) > maxLine {
		w.send(w.buf)
		w.buf = nil
	}
	return len(p), nil
}

// Close sends an unfinished last line. It never fails.
func (w *LineWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.buf) > 0 {
		w.send(w.buf)
		w.buf = nil
	}
	return nil
}

func (w *LineWriter) send(line []byte) {
	s := strings.TrimRight(string(line), " \t\r\v\f")
	if i := strings.LastIndexByte(s, '\r'); i >= 0 {
		s = s[i+1:]
	}
	w.Line(strings.ToValidUTF8(s, "\uFFFD"))
}
