package redact

import (
	"encoding/json"
	"io"
	"strings"
	"sync"
)

// Stream is a writer of text behind the redactor. A secret that spans several writes
// is masked too: the end of a line that may be the beginning of a secret is held back
// until it is known to be one or not. All else is written at once, a prompt without a
// newline too. Its methods may be called side by side.
type Stream struct {
	r    *Redactor
	out  io.Writer
	mu   sync.Mutex
	held string
	last byte // that was written
}

// Stream makes a stream that writes to out.
func (r *Redactor) Stream(out io.Writer) *Stream { return &Stream{r: r, out: out, last: edge} }

// Write masks text and writes it.
func (s *Stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p) == 0 || !s.r.some.Load() {
		s.wrote(string(p))
		return s.out.Write(p)
	}
	text := s.held + string(p)
	// Each line of a secret is masked by itself, so no line waits for the next one.
	end := strings.LastIndexByte(text, '\n') + 1
	before := s.last
	if end > 0 {
		before = '\n'
	}
	done, rest := s.r.split(text[end:], before)
	s.held = rest
	lines := s.r.maskAfter(text[:end], s.last)
	s.wrote(strings.TrimSuffix(text, rest))
	if _, err := io.WriteString(s.out, lines+done); err != nil {
		return 0, err
	}
	return len(p), nil
}

// wrote notes how what was written ends: a short secret that follows is a word or not.
func (s *Stream) wrote(text string) {
	if text != "" {
		s.last = text[len(text)-1]
	}
}

// Flush writes what is held back: nothing comes that could make a secret of it.
func (s *Stream) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flush()
}

func (s *Stream) flush() error {
	if s.held == "" {
		return nil
	}
	text := s.r.maskAfter(s.held, s.last)
	s.wrote(s.held)
	s.held = ""
	_, err := io.WriteString(s.out, text)
	return err
}

// JSON writes a value as indented JSON, masked inside its strings.
func (s *Stream) JSON(v any) error {
	enc := json.NewEncoder(s.Structured())
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(value(s.r, v))
}

// Record writes a line of fields, each masked before line joins and escapes them.
func (s *Stream) Record(line func(fields []string) string, fields ...string) error {
	_, err := io.WriteString(s.Structured(), line(value(s.r, fields)))
	return err
}

// Structured is the stream as it is, for sinks behind [Redactor.Sink]: the events
// are masked already, and the syntax that the sink writes must stay whole.
func (s *Stream) Structured() io.Writer { return structured{s} }

type structured struct{ s *Stream }

func (w structured) Write(p []byte) (int, error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if err := w.s.flush(); err != nil {
		return 0, err
	}
	return w.s.out.Write(p)
}
