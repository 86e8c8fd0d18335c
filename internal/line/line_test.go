package line

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestReadLine(t *testing.T) {
	for name, c := range map[string]struct{ keys, want string }{
		"as typed":               {"a b\r", "a b"},
		"newline":                {"x\n", "x"},
		"in the middle":          {"ac\x1b[Db\r", "abc"},
		"home and end":           {"b\x01a\x05c\r", "abc"},
		"keys of a terminal":     {"b\x1b[Ha\x1b[Fc\x1bOD\x1b[3~d\r", "abd"},
		"backspace":              {"abx\x7fc\r", "abc"},
		"to the begin, the end":  {"xab\x1b[D\x1b[D\x15\x1b[C\x0b\r", "a"},
		"a word":                 {"one two  \x17three\r", "one three"},
		"by words":               {"one two\x1bb\x1bbzero \x1bf!\r", "zero one! two"},
		"Ctrl-C clears the line": {"secret stuff\x03ok\r", "ok"},
		"Ctrl-C with nothing":    {"\x03\x03ok\r", "ok"},
		"Ctrl-D deletes":         {"xab\x01\x04\r", "ab"},
		"history":                {"\x1b[A\r", "second"},
		"further":                {"\x1b[A\x1b[A\x1b[A\r", "first"},
		"and back":               {"new\x1b[A\x1b[A\x1b[B\x1b[B\x1b[B\r", "new"},
		"edited history":         {"\x10!\r", "second!"},
		"Ctrl-C out of history":  {"\x1b[A\x03x\x1b[A\r", "second"},
		"completion":             {"x va\t!\r", "x var.!"},
		"choices":                {"var.\tb\r", "var.b"},
		"wide characters":        {"日本\x1b[D語\x7f中\r", "日中本"},
		"a mark goes with it":    {"ae\u0301\x7fb\r", "ab"},
		"steps over a mark":      {"e\u0301x\x1b[D\x1b[Da\r", "ae\u0301x"},
		"an unknown key":         {"a\x1b[99Zb\x1b[200~c\r", "abc"},
		"other control keys":     {"a\x00\x1cb\r", "ab"},
		"broken text":            {"a\xffb\r", "a\ufffdb"},
	} {
		e := New(strings.NewReader(c.keys), io.Discard)
		e.History = []string{"first", "second"}
		e.Complete = func(before string) (string, []string) {
			if strings.HasSuffix(before, "va") {
				return before + "r.", nil
			}
			return before, []string{"var.a", "var.b"}
		}
		if got, err := e.ReadLine(); got != c.want || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for name, keys := range map[string]string{"Ctrl-D": "\x04", "the end": "abc", "in a key": "\x1b["} {
		if _, err := New(strings.NewReader(keys), io.Discard).ReadLine(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestColumns(t *testing.T) {
	for r, want := range map[rune]int{'a': 1, 'ä': 1, '日': 2, '한': 2, 'Ａ': 2, '🙂': 2, '\u0301': 0, '\u200d': 0, '─': 1} {
		if got := Columns(r); got != want {
			t.Errorf("%q: %d", r, got)
		}
	}
}

// screen is as much of a terminal as the editor uses.
type screen struct {
	cells    [][]rune
	row, col int
	columns  int
}

func (s *screen) Write(p []byte) (int, error) {
	text := []rune(string(p))
	for i := 0; i < len(text); i++ {
		switch r := text[i]; r {
		case '\r':
			s.col = 0
		case '\n':
			s.row++
		case 0x1b:
			n, from := 0, i+2
			for i = from; text[i] >= '0' && text[i] <= '9'; i++ {
				n = n*10 + int(text[i]-'0')
			}
			switch text[i] {
			case 'A':
				s.row -= n
			case 'C':
				s.col += n
			case 'J':
				s.cells = s.cells[:min(len(s.cells), s.row)]
			}
		default:
			if w := Columns(r); w > 0 {
				s.put(r, w)
			}
		}
	}
	return len(p), nil
}

func (s *screen) put(r rune, w int) {
	if s.col+w > s.columns {
		s.row, s.col = s.row+1, 0
	}
	for len(s.cells) <= s.row {
		s.cells = append(s.cells, nil)
	}
	line := s.cells[s.row]
	for len(line) < s.col {
		line = append(line, ' ')
	}
	line = append(line[:s.col], r)
	if w == 2 {
		line = append(line, 0) // its second half
	}
	s.cells[s.row], s.col = line, s.col+w
}

func (s *screen) String() string {
	var rows []string
	for _, line := range s.cells {
		rows = append(rows, string(bytes.ReplaceAll([]byte(string(line)), []byte{0}, nil)))
	}
	return strings.Join(rows, "|")
}

// What is drawn stays in its rows, and the cursor stands where the next key goes.
func TestDraw(t *testing.T) {
	for _, c := range []struct {
		keys, want string
		row, col   int
	}{
		{"abc", "> abc", 0, 5},
		{"abcdefgh", "> abcdefgh", 1, 0},
		{"abcdefghij", "> abcdefgh|ij", 1, 2},
		{"abcdefghij\x01", "> abcdefgh|ij", 0, 2},
		{"日本語中文字", "> 日本語中|文字", 1, 4},
		{"a日本語中文字", "> a日本語|中文字", 1, 6},
		{"a日本語中\x1b[D", "> a日本語|中", 0, 9},
		{"日本\x7f", "> 日", 0, 4},
		{"abcdefghijklmn\x03", "> ", 0, 2},
		{"e\u0301\u0301x", "> ex", 0, 4},
	} {
		s := &screen{columns: 10}
		e := New(&slow{c.keys}, s)
		e.Prompt, e.Width = "> ", func() int { return 10 }
		_, _ = e.ReadLine() // ends with the keys
		if got := s.String(); got != c.want || s.row != c.row || s.col != c.col {
			t.Errorf("%q: %q, cursor %d, %d", c.keys, got, s.row, s.col)
		}
	}
}

// slow gives a key at a time, so that each is drawn.
type slow struct{ keys string }

func (s *slow) Read(p []byte) (int, error) {
	if s.keys == "" {
		return 0, io.EOF
	}
	n := 1
	if s.keys[0] == 0x1b {
		n = 3
	}
	n = copy(p, s.keys[:n])
	s.keys = s.keys[n:]
	return n, nil
}

func FuzzReadLine(f *testing.F) {
	f.Add("a\x1b[D日\x7f\t\x17\r")
	f.Fuzz(func(t *testing.T, keys string) {
		e := New(strings.NewReader(keys), io.Discard)
		e.Complete = func(before string) (string, []string) { return before + "x", nil }
		for {
			line, err := e.ReadLine()
			if err != nil {
				return
			}
			e.History = append(e.History, line)
		}
	})
}
