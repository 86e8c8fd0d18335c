package redact

import (
	"encoding/base64"
	"slices"
	"strings"
)

// A dump is bytes in hexadecimal, in either letter case, with nothing, blanks, colons,
// \x and the like between them, as od, xxd, hexdump and openssl print them. It is read
// back, so that no way of writing it needs a form of its own.

// minDump is the least number of digits of a dump.
const minDump = 2 * minLength

// digit is a hexadecimal digit in a text.
type digit struct {
	value byte
	at    int
}

// dumped adds the places of secrets in the dumps of a text.
func (x *index) dumped(all []span, text string) []span {
	if len(x.forms) == 0 {
		return all
	}
	var digits []digit
	for i := 0; i < len(text); {
		digits, i = dump(digits[:0], text, i)
		if len(digits) >= minDump {
			all = x.inDump(x.inDump(all, digits), digits[1:])
		}
	}
	return all
}

// inDump adds the places of secrets in digits that begin with a whole byte.
func (x *index) inDump(all []span, digits []digit) []span {
	bytes := make([]byte, len(digits)/2)
	for i := range bytes {
		bytes[i] = digits[2*i].value<<4 | digits[2*i+1].value
	}
	return x.inBytes(all, bytes, true, func(from, to int) span {
		return span{digits[2*from].at, digits[2*to-1].at + 1}
	})
}

// inBytes adds the places of secrets in bytes that were read back from a text. Place is
// where some of them stand in it. Cut says that they may be cut off from more of them.
func (x *index) inBytes(all []span, bytes []byte, cut bool, place func(from, to int) span) []span {
	text := string(bytes)
	for n := min(window-1, len(text)); cut && n >= minEdge; n-- {
		// What was cut off at the end of a line, and begins the next one.
		if _, ok := x.edges["<"+text[len(text)-n:]]; ok {
			all = append(all, place(len(text)-n, len(text)))
		}
		if _, ok := x.edges[">"+text[:n]]; ok {
			all = append(all, place(0, n))
		}
	}
	for i := 0; i+minLength <= len(text); i++ {
		n := 0
		if x.begun(text[i], text[i+1]) {
			if n = x.match(text, i, 'x'); n < minLength {
				n = 0 // a short secret is no word among bytes
			}
		}
		if n < window && i+window <= len(text) {
			if _, ok := x.windows[[window]byte(bytes[i:])]; ok {
				n = window
			}
		}
		if n > 0 {
			all = append(all, place(i, i+n))
		}
	}
	return all
}

// minWrapped is the least length of base64 that is read back. Whole secrets in it are
// known by their forms; this is for longer text that holds one and is wrapped, at a
// multiple of four characters as all programs do.
const minWrapped = 16

// wrapped adds the places of secrets in the base64 of a text.
func (x *index) wrapped(all []span, text string) []span {
	if len(x.windows) == 0 {
		return all
	}
	for from := 0; from < len(text); {
		to := from
		for to < len(text) && inBase64(text[to]) {
			to++
		}
		if to-from >= minWrapped {
			run := []byte(text[from:to])
			for i, c := range run {
				switch c {
				case '-':
					run[i] = '+'
				case '_':
					run[i] = '/'
				}
			}
			bytes := make([]byte, base64.RawStdEncoding.DecodedLen(len(run)))
			n, _ := base64.RawStdEncoding.Decode(bytes, run) // as far as it goes
			const line = 60
			all = x.inBytes(all, bytes[:n], len(run) >= line, func(a, b int) span {
				return span{from + a*8/6, min(to, from+(b*8+5)/6)}
			})
		}
		from = to + 1
	}
	return all
}

func inBase64(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' ||
		c == '-' || c == '_'
}

// dump reads the digits of the next dump of a text from i on, and where it ends.
func dump(digits []digit, text string, i int) ([]digit, int) {
	for i < len(text) && hexValue(text[i]) < 0 {
		i++
	}
	for i < len(text) {
		switch v := hexValue(text[i]); {
		case v == 0 && i+1 < len(text) && text[i+1] == 'x':
			i += 2
		case v >= 0:
			digits = append(digits, digit{byte(v), i})
			i++
		default:
			n := between(text[i:])
			if n == 0 {
				return digits, i
			}
			i += n
		}
	}
	return digits, i
}

// between is the length of what stands between two bytes of a dump at the beginning of
// text; 0: that is the end of it.
func between(text string) int {
	const most = 4
	for n := 0; n < len(text) && n <= most; n++ {
		switch text[n] {
		case ' ', ':', ',', '-', '%', '\\', '\t':
			continue
		case 'x':
			if n > 0 && text[n-1] == '\\' {
				continue
			}
		}
		if hexValue(text[n]) < 0 {
			return 0
		}
		return n
	}
	return 0
}

func hexValue(b byte) int {
	switch {
	case b >= '0' && b <= '9':
		return int(b - '0')
	case b >= 'a' && b <= 'f':
		return int(b-'a') + 10
	case b >= 'A' && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}

// dumpBegins is where the beginning of a form stands in a dump at the end of text; the
// text's length where there is none.
func (x *index) dumpBegins(text string) int {
	if len(x.forms) == 0 {
		return len(text)
	}
	const most = 6 // characters that a byte takes
	var digits []digit
	i := max(0, len(text)-most*x.longest)
	for i < len(text) && (len(digits) == 0 || !goesOn(text[i:])) {
		digits, i = dump(digits[:0], text, i)
	}
	if len(digits) == 0 || !goesOn(text[i:]) {
		return len(text)
	}
	for i, d := range digits {
		if len(digits)-i <= 2*x.longest && x.beginsDump(digits[i:]) {
			return d.at
		}
	}
	return len(text)
}

// goesOn reports whether a dump may go on behind what follows its last digit.
func goesOn(rest string) bool { return rest == "" || between(rest+"0") > 0 }

// beginsDump reports whether some form goes on after the bytes that digits are. Of the
// last one only one digit may be there.
func (x *index) beginsDump(digits []digit) bool {
	if len(digits) >= 4 && !x.begun(digits[0].value<<4|digits[1].value, digits[2].value<<4|digits[3].value) {
		return false
	}
	bytes := make([]byte, len(digits)/2, len(digits)/2+1)
	for i := range bytes {
		bytes[i] = digits[2*i].value<<4 | digits[2*i+1].value
	}
	if len(digits)%2 == 0 {
		return x.begins(string(bytes))
	}
	high := digits[len(digits)-1].value << 4
	from, _ := slices.BinarySearch(x.sorted, string(append(bytes, high)))
	return from < len(x.sorted) && strings.HasPrefix(x.sorted[from], string(bytes)) &&
		x.sorted[from][len(bytes)]&0xf0 == high
}
