package redact

import (
	"slices"
	"strings"
	"unicode/utf8"

	"kiln"
)

// minLength is the least length, in characters, of what is masked wherever it stands.
// What is shorter occurs in harmless text all the time, and is masked as a whole word.
const minLength = 4

// edge is the byte before and behind a text.
const edge = ' '

// index finds forms in texts. Forms are added to it one by one.
type index struct {
	forms   map[string]struct{}
	lengths map[[minLength]byte][]int // of the forms that begin so, the longest first
	first   [1 << 16 / 64]uint64      // the first two bytes of forms, as a set
	words   map[string]struct{}       // masked as whole words only
	sizes   []int                     // lengths of words, the longest first
	windows map[[window]byte]struct{} // parts of secrets, see addWindows
	edges   map[string]struct{}       // beginnings ("<") and ends (">") of secrets, likewise
	sorted  []string                  // forms and words; nil: to be made anew
	longest int
}

// add adds a form. It reports false if the form is there already or too short.
func (x *index) add(form string) bool {
	if len(form) < minLength {
		return false
	}
	if _, ok := x.forms[form]; ok {
		return false
	}
	if x.forms == nil {
		x.forms, x.lengths = map[string]struct{}{}, map[[minLength]byte][]int{}
	}
	x.forms[form] = struct{}{}
	key := [minLength]byte([]byte(form[:minLength]))
	x.lengths[key] = withLength(x.lengths[key], len(form))
	pair := uint(form[0])<<8 | uint(form[1])
	x.first[pair/64] |= 1 << (pair % 64)
	x.sorted, x.longest = nil, max(x.longest, len(form))
	return true
}

// addWord adds a form that is masked only where it is a whole word.
func (x *index) addWord(form string) {
	if strings.TrimSpace(form) == "" {
		return
	}
	if x.words == nil {
		x.words = map[string]struct{}{}
	}
	x.words[form] = struct{}{}
	x.sizes = withLength(x.sizes, len(form))
	x.sorted, x.longest = nil, max(x.longest, len(form))
}

// withLength puts a length into a list, the longest first, that has each once.
func withLength(all []int, n int) []int {
	at, found := slices.BinarySearchFunc(all, n, func(have, n int) int { return n - have })
	if found {
		return all
	}
	return slices.Insert(all, at, n)
}

// window is the length of a part of a secret that gives it away in a dump: these are
// cut into lines anywhere.
const window = 8

// minEdge is the least length of a beginning or end of a secret that is.
const minEdge = 3

// maxWindows bounds how much of one secret is looked for in parts.
const maxWindows = 16 << 10

// addWindows adds the parts of a secret by which it is known in a dump.
func (x *index) addWindows(s string) {
	if x.windows == nil {
		x.windows, x.edges = map[[window]byte]struct{}{}, map[string]struct{}{}
	}
	for n := minEdge; n < min(window, len(s)); n++ {
		x.edges["<"+s[:n]], x.edges[">"+s[len(s)-n:]] = struct{}{}, struct{}{}
	}
	b := []byte(s[:min(len(s), maxWindows)])
	for i := range len(b) - window + 1 {
		x.windows[[window]byte(b[i:])] = struct{}{}
	}
}

// spans are the places of all forms in text, none touching another's inside.
func (x *index) spans(text string, before byte) []span {
	var all []span
	for i := 0; i < len(text); i++ {
		n := x.match(text, i, before)
		if text[i] == kiln.Masked[0] && n < len(kiln.Masked) && strings.HasPrefix(text[i:], kiln.Masked) {
			// What is masked already stays as it is: text may pass twice.
			i += len(kiln.Masked) - 1
			continue
		}
		if n > 0 {
			all = append(all, span{i, i + n})
		}
	}
	all = x.wrapped(x.dumped(all, text), text)
	return join(all)
}

// match is the length of the longest form at a place in text; 0: there is none.
func (x *index) match(text string, i int, before byte) (n int) {
	if len(text)-i >= minLength && x.begun(text[i], text[i+1]) {
		for _, l := range x.lengths[[minLength]byte([]byte(text[i:i+minLength]))] {
			if i+l > len(text) {
				continue
			}
			if _, ok := x.forms[text[i:i+l]]; ok {
				n = l
				break
			}
		}
	}
	if len(x.words) == 0 || inWord(at(text, i-1, before)) {
		return n
	}
	for _, l := range x.sizes {
		if l <= n {
			break
		}
		if i+l > len(text) || inWord(at(text, i+l, before)) {
			continue
		}
		if _, ok := x.words[text[i:i+l]]; ok {
			return l
		}
	}
	return n
}

// begun reports whether any form begins with two bytes.
func (x *index) begun(a, b byte) bool {
	pair := uint(a)<<8 | uint(b)
	return x.first[pair/64]&(1<<(pair%64)) != 0
}

// at is a byte of a text or around it.
func at(text string, i int, before byte) byte {
	switch {
	case i < 0:
		return before
	case i >= len(text):
		return edge
	}
	return text[i]
}

// inWord reports whether a byte is part of a word.
func inWord(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' ||
		b >= utf8.RuneSelf
}

// mayBegin is the first place from which text, going on, may become a form; the
// text's length where there is none.
func (x *index) mayBegin(text string, before byte) int {
	if x.sorted == nil {
		for _, all := range []map[string]struct{}{x.forms, x.words} {
			for f := range all {
				x.sorted = append(x.sorted, f)
			}
		}
		slices.Sort(x.sorted)
	}
	end := x.dumpBegins(text)
	for i := max(0, len(text)-x.longest); i < end; i++ {
		if x.begins(text[i:]) && (len(text)-i < minLength || x.begun(text[i], text[i+1]) || len(x.words) > 0) {
			return i
		}
		if _, word := x.words[text[i:]]; word && !inWord(at(text, i-1, before)) {
			return i // or it is the beginning of a longer word
		}
	}
	return end
}

// begins reports whether some form goes on after text.
func (x *index) begins(text string) bool {
	i, found := slices.BinarySearch(x.sorted, text)
	if found {
		i++
	}
	return i < len(x.sorted) && strings.HasPrefix(x.sorted[i], text)
}
