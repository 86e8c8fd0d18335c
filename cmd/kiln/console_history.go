package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"kiln"
	"kiln/internal/home"
)

// mostLines is how many lines of the console are kept.
const mostLines = 1000

// consoleHistory are the lines that were typed in earlier sessions and this one.
type consoleHistory struct {
	p     *program
	path  string // empty: nothing is kept
	lines []string
}

// openHistory reads the lines of earlier sessions. Where there is no home for them, those
// of this session are all.
func (p *program) openHistory() *consoleHistory {
	h := &consoleHistory{p: p}
	dir, err := home.Open()
	if err != nil {
		return h
	}
	path := filepath.Join(dir, "console_history")
	text, err := home.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.warn(err)
		return h
	}
	h.path = path
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			h.lines = append(h.lines, line)
		}
	}
	if n := len(h.lines); n > mostLines {
		h.lines = h.lines[n-mostLines:]
		// Other sessions may add to it meanwhile; a line of theirs that is lost is no harm.
		if err := kiln.WriteFile(path, []byte(strings.Join(h.lines, "\n")+"\n"), 0o600); err != nil {
			p.warn(err)
		}
	}
	return h
}

// add keeps a line, unless it is the last one again or begins with a blank. Secrets in it
// are hidden, as everywhere.
func (h *consoleHistory) add(line string) []string {
	if strings.TrimSpace(line) == "" || line[0] == ' ' || strings.ContainsAny(line, "\r\n") ||
		len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return h.lines
	}
	h.lines = append(h.lines, line)
	if h.path == "" {
		return h.lines
	}
	if err := h.write(line); err != nil {
		h.p.warn(err)
		h.path = ""
	}
	return h.lines
}

func (h *consoleHistory) write(line string) error {
	var masked bytes.Buffer
	out := h.p.redactor.Stream(&masked)
	if _, err := out.Write([]byte(line + "\n")); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(h.path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(h.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(masked.Bytes())
	return errors.Join(err, f.Close())
}
