package qemu

import (
	"io"
	"os"
	"regexp"
	"strings"
)

const (
	tailLines = 12      // of a console that an error shows
	tailBytes = 8 << 10 // that are read for them
)

// controls are what moves the cursor of a terminal, and colours it.
var controls = regexp.MustCompile(`\x1b(\[[0-9;?]*[ -/]*[@-~]|[()][0-9A-B]|[=>78cDEHM])`)

// Tail are the last lines of a file that have text in them, at most n, without what is for
// a terminal only.
func Tail(path string, n int) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > tailBytes {
		if _, err := f.Seek(-tailBytes, io.SeekEnd); err != nil {
			return nil, err
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, tailBytes))
	if err != nil {
		return nil, err
	}
	return lastLines(string(text), n), nil
}

// lastLines are the last lines of a text that a screen would show.
func lastLines(text string, n int) []string {
	var lines []string
	for line := range strings.Lines(controls.ReplaceAllString(text, "")) {
		line = strings.TrimRight(line, " \t\r\n")
		if i := strings.LastIndexByte(line, '\r'); i >= 0 {
			line = line[i+1:]
		}
		line = strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' || r == 0x7f {
				return -1
			}
			return r
		}, strings.ToValidUTF8(line, "\uFFFD"))
		if strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-n):]
}
