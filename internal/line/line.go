// Package line reads lines from a terminal, with editing, a history and completion. What it
// draws is as wide as the terminal shows it: wide characters take two columns, marks on
// others none.
package line

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Editor reads lines from a terminal in raw mode.
type Editor struct {
	Prompt string
	Width  func() int // columns of the terminal
	// Complete extends the text in front of the cursor, and lists the choices.
	Complete func(before string) (extended string, choices []string)
	// History are the earlier lines, the oldest first.
	History []string

	in  *bufio.Reader
	out io.Writer

	text  []rune
	pos   int    // of the cursor, in text
	row   int    // of the cursor, below the prompt's
	past  int    // which line of the history is shown; len(History): the new one
	saved []rune // the new one, meanwhile
	draft strings.Builder
}

// New makes an editor between a terminal's two directions.
func New(in io.Reader, out io.Writer) *Editor {
	return &Editor{in: bufio.NewReader(in), out: out, Width: func() int { return 80 }}
}

// Keys.
const (
	ctrlA, ctrlB, ctrlC, ctrlD, ctrlE, ctrlF = 1, 2, 3, 4, 5, 6
	tab, newline, ctrlK, ctrlL, enter        = 9, 10, 11, 12, 13
	ctrlN, ctrlP, ctrlU, ctrlW, escape       = 14, 16, 21, 23, 27
	backspace, ctrlH                         = 127, 8
)

// Keys of more than one byte, as numbers that are no characters.
const (
	keyUp = unicode.MaxRune + 1 + iota
	keyDown
	keyRight
	keyLeft
	keyHome
	keyEnd
	keyDelete
	keyWordLeft
	keyWordRight
	keyUnknown
)

// ReadLine reads a line. Ctrl-C clears it; Ctrl-D on an empty one, and the end of the
// input, is io.EOF.
func (e *Editor) ReadLine() (string, error) {
	e.text, e.pos, e.row, e.past, e.saved = nil, 0, 0, len(e.History), nil
	if err := e.draw(); err != nil {
		return "", err
	}
	for {
		key, err := e.key()
		if err != nil {
			return "", err
		}
		switch key {
		case enter, newline:
			e.pos = len(e.text)
			if err := errors.Join(e.draw(), e.write("\r\n")); err != nil {
				return "", err
			}
			return string(e.text), nil
		case ctrlD:
			if len(e.text) == 0 {
				return "", errors.Join(io.EOF, e.write("\r\n"))
			}
			e.remove(e.pos, e.pos+1)
		default:
			if err := e.press(key); err != nil {
				return "", err
			}
		}
		// What was pasted is drawn once.
		if e.in.Buffered() == 0 {
			if err := e.draw(); err != nil {
				return "", err
			}
		}
	}
}

// press is a key that edits the line.
func (e *Editor) press(key rune) error {
	switch key {
	case ctrlC:
		e.text, e.pos, e.past = nil, 0, len(e.History)
	case ctrlL:
		e.row = 0
		return e.write("\x1b[H\x1b[2J")
	case tab:
		return e.complete()
	case ctrlA, keyHome:
		e.pos = 0
	case ctrlE, keyEnd:
		e.pos = len(e.text)
	case ctrlB, keyLeft:
		e.pos = e.left(e.pos)
	case ctrlF, keyRight:
		e.pos = e.right(e.pos)
	case keyWordLeft:
		e.pos = e.wordLeft()
	case keyWordRight:
		for e.pos < len(e.text) && e.text[e.pos] == ' ' {
			e.pos++
		}
		for e.pos < len(e.text) && e.text[e.pos] != ' ' {
			e.pos++
		}
	case backspace, ctrlH:
		e.remove(e.left(e.pos), e.pos)
	case keyDelete:
		e.remove(e.pos, e.right(e.pos))
	case ctrlU:
		e.remove(0, e.pos)
	case ctrlK:
		e.remove(e.pos, len(e.text))
	case ctrlW:
		e.remove(e.wordLeft(), e.pos)
	case ctrlP, keyUp:
		e.show(e.past - 1)
	case ctrlN, keyDown:
		e.show(e.past + 1)
	default:
		if key <= unicode.MaxRune && unicode.IsGraphic(key) || unicode.Is(unicode.Cf, key) {
			e.text = append(e.text[:e.pos:e.pos], append([]rune{key}, e.text[e.pos:]...)...)
			e.pos++
		}
	}
	return nil
}

func (e *Editor) remove(from, to int) {
	to = min(to, len(e.text))
	e.text = append(e.text[:from:from], e.text[to:]...)
	e.pos = from
}

// left is the place in front of the character before pos, with the marks on it.
func (e *Editor) left(pos int) int {
	for pos > 0 {
		if pos--; Columns(e.text[pos]) > 0 {
			break
		}
	}
	return pos
}

func (e *Editor) right(pos int) int {
	for pos < len(e.text) {
		if pos++; pos == len(e.text) || Columns(e.text[pos]) > 0 {
			break
		}
	}
	return pos
}

func (e *Editor) wordLeft() int {
	pos := e.pos
	for pos > 0 && e.text[pos-1] == ' ' {
		pos--
	}
	for pos > 0 && e.text[pos-1] != ' ' {
		pos--
	}
	return pos
}

// show takes a line of the history in place of the one that is edited.
func (e *Editor) show(n int) {
	if n < 0 || n > len(e.History) {
		return
	}
	if e.past == len(e.History) {
		e.saved = e.text
	}
	e.past = n
	if n == len(e.History) {
		e.text = e.saved
	} else {
		e.text = []rune(e.History[n])
	}
	e.pos = len(e.text)
}

// complete extends the word in front of the cursor, or lists what it may become.
func (e *Editor) complete() error {
	if e.Complete == nil {
		return nil
	}
	before := string(e.text[:e.pos])
	extended, choices := e.Complete(before)
	if extended != before {
		done := []rune(extended)
		e.text = append(done, e.text[e.pos:]...)
		e.pos = len(done)
		return nil
	}
	if len(choices) < 2 {
		return nil
	}
	pos := e.pos
	e.pos = len(e.text)
	err := errors.Join(e.draw(), e.write("\r\n"+strings.Join(choices, "  ")+"\r\n"))
	e.pos, e.row = pos, 0
	return err
}

// key reads a key.
func (e *Editor) key() (rune, error) {
	r, _, err := e.in.ReadRune()
	if err != nil || r != escape {
		return r, err
	}
	// A key that begins so comes at once; Escape alone is followed by nothing.
	if e.in.Buffered() == 0 {
		return keyUnknown, nil
	}
	if r, _, err = e.in.ReadRune(); err != nil {
		return r, err
	}
	switch r {
	case 'b':
		return keyWordLeft, nil
	case 'f':
		return keyWordRight, nil
	case '[', 'O':
	default:
		return keyUnknown, nil
	}
	code := ""
	for {
		r, _, err := e.in.ReadRune()
		if err != nil {
			return r, err
		}
		code += string(r)
		if r >= '@' && r <= '~' || len(code) > 16 {
			break
		}
	}
	if key, ok := escapes[code]; ok {
		return key, nil
	}
	return keyUnknown, nil
}

// escapes are what terminals send for keys, behind Escape and a bracket.
var escapes = map[string]rune{
	"A": keyUp, "B": keyDown, "C": keyRight, "D": keyLeft, "H": keyHome, "F": keyEnd,
	"1~": keyHome, "7~": keyHome, "4~": keyEnd, "8~": keyEnd, "3~": keyDelete,
	"1;5C": keyWordRight, "1;5D": keyWordLeft, "1;3C": keyWordRight, "1;3D": keyWordLeft,
}

func (e *Editor) write(s string) error {
	_, err := io.WriteString(e.out, s)
	return err
}

// draw shows the line anew: from the prompt's row on, with the cursor at its place.
func (e *Editor) draw() error {
	b := &e.draft
	b.Reset()
	up(b, e.row)
	b.WriteString("\r\x1b[J")
	columns := max(e.Width(), 2)
	p := place{columns: columns}
	p.put(b, []rune(e.Prompt))
	p.put(b, e.text[:e.pos])
	cursor := p
	p.put(b, e.text[e.pos:])
	if p.column == columns {
		// The terminal waits at the end of a full row; the cursor goes below it.
		b.WriteString("\r\n")
		p.row, p.column = p.row+1, 0
	}
	if cursor.column == columns {
		cursor.row, cursor.column = cursor.row+1, 0
	}
	up(b, p.row-cursor.row)
	b.WriteString("\r")
	if cursor.column > 0 {
		b.WriteString("\x1b[" + strconv.Itoa(cursor.column) + "C")
	}
	e.row = cursor.row
	return e.write(b.String())
}

func up(b *strings.Builder, rows int) {
	if rows > 0 {
		b.WriteString("\x1b[" + strconv.Itoa(rows) + "A")
	}
}

// place is where a terminal's cursor is, from the prompt's begin.
type place struct{ columns, row, column int }

// put writes text and follows the cursor.
func (p *place) put(b *strings.Builder, text []rune) {
	for _, r := range text {
		w := Columns(r)
		if p.column+w > p.columns {
			// A wide character that does not fit goes to the next row as a whole.
			b.WriteString("\r\n")
			p.row, p.column = p.row+1, 0
		}
		b.WriteRune(r)
		p.column += w
	}
}

// Columns is how many columns of a terminal a character takes.
func Columns(r rune) int {
	switch {
	case r == 0 || unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) || unicode.Is(unicode.Cf, r):
		return 0
	case r == utf8.RuneError:
		return 1
	case r >= 0x1F300 && r <= 0x1FAFF:
		return 2 // pictures
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}
