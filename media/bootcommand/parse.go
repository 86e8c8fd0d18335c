package bootcommand

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// Parse reads a boot command. What does not fit the language is typed as it stands, so
// that text is refused for bytes that are no UTF-8 and for waits that no clock can wait.
func Parse(text string) ([]Action, error) {
	if err := checkEncoding(text); err != nil {
		return nil, err
	}
	var all []Action
	var errs []error
	for text != "" {
		action, length, err := next(text)
		if err != nil {
			errs = append(errs, err)
		}
		all = append(all, action)
		text = text[length:]
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return all, nil
}

// next reads the first action of a text that is not empty, and says how many bytes it has.
func next(text string) (a Action, length int, err error) {
	if a, length, err = waiting(text); length > 0 {
		return a, length, err
	}
	if a, length = toggle(text); length > 0 {
		return a, length, nil
	}
	if a, length = specialKey(text); length > 0 {
		return a, length, nil
	}
	char, size := utf8.DecodeRuneInString(text)
	return Action{Kind: Press, Char: char}, size, nil
}

// checkEncoding names the first place that is not UTF-8: line, character and byte.
func checkEncoding(text string) error {
	if utf8.ValidString(text) {
		return nil
	}
	line, column := 1, 1
	for at, c := range text {
		if c == utf8.RuneError && !strings.HasPrefix(text[at:], string(utf8.RuneError)) {
			return fmt.Errorf("%d:%d (%d): invalid encoding", line, column, at)
		}
		if column++; c == '\n' {
			line, column = line+1, 1
		}
	}
	return nil
}

// waitForm is what stands between <wait and >: durations, seconds, or neither.
var waitForm = regexp.MustCompile(
	`^(?:((?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))+)|(0|[1-9][0-9]*))?$`)

// waiting reads a wait. Its length is not 0 where there is one, if only a wrong one.
func waiting(text string) (a Action, length int, err error) {
	rest, found := strings.CutPrefix(text, "<wait")
	end := strings.IndexByte(rest, '>')
	if !found || end < 0 {
		return Action{}, 0, nil
	}
	m := waitForm.FindStringSubmatch(rest[:end])
	if m == nil {
		return Action{}, 0, nil
	}
	length = len(text) - len(rest) + end + 1
	duration := m[1]
	switch {
	case m[2] != "" && m[2] != "0":
		duration = m[2] + "s"
	case duration == "":
		duration = "1s"
	}
	d, err := time.ParseDuration(duration)
	if err != nil {
		return Action{}, length, fmt.Errorf("<wait%s>: %w", duration, err)
	}
	if d < 0 {
		return Action{}, length, fmt.Errorf("Expecting a positive wait value. Got %s", d)
	}
	return Action{Kind: Wait, For: d}, length, nil
}

// toggle reads <cOn> and <cOff> for any one character.
func toggle(text string) (Action, int) {
	rest, found := strings.CutPrefix(text, "<")
	if !found || rest == "" {
		return Action{}, 0
	}
	char, size := utf8.DecodeRuneInString(rest)
	for suffix, kind := range switches {
		if tail := rest[size:]; len(tail) > len(suffix) && tail[len(suffix)] == '>' &&
			strings.EqualFold(tail[:len(suffix)], suffix) {
			return Action{Kind: kind, Char: char}, 1 + size + len(suffix) + 1
		}
	}
	return Action{}, 0
}

// switches end a key that is held or released.
var switches = map[string]Kind{"on": Hold, "off": Release}

// longest is the number of bytes that the name of a special key can have with a switch.
const longest = len("rightCommandOff")

// specialKey reads <key>, <keyOn> and <keyOff>.
func specialKey(text string) (Action, int) {
	rest, found := strings.CutPrefix(text, "<")
	end := strings.IndexByte(rest[:min(len(rest), longest+1)], '>')
	if !found || end < 0 {
		return Action{}, 0
	}
	name := rest[:end]
	if key, ok := find(name); ok {
		return Action{Kind: Press, Key: key.name}, 1 + end + 1
	}
	for suffix, kind := range switches {
		at := len(name) - len(suffix)
		if at < 0 || !strings.EqualFold(name[at:], suffix) {
			continue
		}
		if key, ok := find(name[:at]); ok {
			return Action{Kind: kind, Key: key.name}, 1 + end + 1
		}
	}
	return Action{}, 0
}
