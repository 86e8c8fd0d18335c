package ui

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// replaceable is an error where a report would take the place of a file that is none: of
// a template, say, where an option's value was left out. Is tells by the file's beginning.
func replaceable(path, what string, is func(begin []byte) bool) error {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return nil // what is wrong with it, writing it tells
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("write %s: %w", what, err)
	}
	defer f.Close()
	begin := make([]byte, 4<<10)
	n, err := io.ReadFull(f, begin)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return fmt.Errorf("write %s: %w", what, err)
	}
	if !is(begin[:n]) {
		return fmt.Errorf("write %s: %s exists and is something else: remove it, or name another file", what, path)
	}
	return nil
}

// isXML reports whether a file that begins so is XML.
func isXML(begin []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(bytes.TrimPrefix(begin, []byte("\uFEFF"))), []byte("<"))
}

// isProperties reports whether a file that begins so is what Properties writes.
func isProperties(begin []byte) bool {
	return bytes.HasPrefix(begin, []byte("KILN_RUN=")) || bytes.HasPrefix(begin, []byte("RESULT=")) ||
		bytes.Contains(begin, []byte("\nRESULT="))
}
