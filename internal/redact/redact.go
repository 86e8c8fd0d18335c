// Package redact hides secrets. It stands once, in front of all that leaves the
// program: a [Stream] in front of each writer of text, [Redactor.Sink] in front of
// the sinks of events, [Redactor.Marshal] in front of files of JSON. Nobody else
// masks, and nobody can: the functions that do are not exported.
//
// Text is masked as it is printed. Data is masked value by value before it is
// encoded, so that a secret such as 1 or true cannot break the syntax around it.
package redact

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"kiln"
)

// Redactor knows the secrets of a program. It masks them in the forms in which tools
// print them: as they are, line by line, base64 (at each alignment and wrapped), base32,
// hexadecimal with whatever stands between the bytes, URL-, JSON-, HCL-, HTML- and
// shell-escaped. The zero value masks nothing and is ready for use.
type Redactor struct {
	some  atomic.Bool // there are secrets
	mu    sync.RWMutex
	added map[string]bool
	known index
}

// Short reports whether a secret is so short that it is only hidden where it stands
// as a word of its own: anywhere else it would mask half of what is printed.
func Short(secret string) bool {
	n := utf8.RuneCountInString(strings.TrimSpace(secret))
	return n > 0 && n < minLength
}

// Add makes the redactor mask a secret from now on.
func (r *Redactor) Add(secret string) {
	if strings.TrimSpace(secret) == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(secret)
	r.some.Store(true)
}

// add adds a secret and the parts of it that are printed by themselves.
func (r *Redactor) add(secret string) {
	if r.added[secret] {
		return
	}
	if r.added == nil {
		r.added = map[string]bool{}
	}
	r.added[secret] = true
	if Short(secret) {
		for _, s := range []string{secret, strings.TrimSpace(secret)} {
			r.known.addWord(s)
			for _, f := range encodings(s) {
				r.known.addWord(f)
			}
		}
		return
	}
	unix := strings.ReplaceAll(secret, "\r\n", "\n")
	r.addForms(secret)
	r.addForms(unix)
	for line := range strings.SplitSeq(unix, "\n") {
		// Blanks at its ends get lost where lines are trimmed. A line such as } or fi
		// is in every other text too.
		if !Short(line) {
			r.addForms(line)
			r.addForms(strings.TrimSpace(line))
		}
	}
}

// addForms adds a text in all its forms.
func (r *Redactor) addForms(s string) {
	if strings.TrimSpace(s) == "" || !r.known.add(s) {
		return
	}
	r.known.addWindows(s)
	for _, f := range encodings(s) {
		r.known.add(f)
	}
}

// Holds reports whether text holds a known secret in any form.
func (r *Redactor) Holds(text string) bool {
	if !r.some.Load() {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.known.spans(text, edge)) > 0
}

// mask is text with every known secret replaced.
func (r *Redactor) mask(text string) string { return r.maskAfter(text, edge) }

// maskAfter masks a text that follows a byte.
func (r *Redactor) maskAfter(text string, before byte) string {
	if text == "" || !r.some.Load() {
		return text
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return masked(text, r.known.spans(text, before))
}

// masked is text with a mask in the place of each span.
func masked(text string, spans []span) string {
	if len(spans) == 0 {
		return text
	}
	var b strings.Builder
	at := 0
	for _, s := range spans {
		b.WriteString(text[at:s.from])
		b.WriteString(kiln.Masked)
		at = s.to
	}
	b.WriteString(text[at:])
	return b.String()
}

// split masks a text that goes on: rest is its end from where a secret may have begun
// whose other part is yet to come. Before is the byte that the text follows.
func (r *Redactor) split(text string, before byte) (done, rest string) {
	if text == "" {
		return "", ""
	}
	r.mu.Lock() // the order of forms may have to be made
	defer r.mu.Unlock()
	spans := r.known.spans(text, before)
	end := r.known.mayBegin(text, before)
	for i, s := range spans {
		if s.to > end {
			// What is masked to its end stays together with what may follow.
			end, spans = min(end, s.from), spans[:i]
			break
		}
	}
	return masked(text[:end], spans), text[end:]
}

// span is a part of a text.
type span struct{ from, to int }

// join sorts spans and makes one of those that overlap: of two secrets that share
// some characters none may show.
func join(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	out := spans[:0]
	for _, s := range spans {
		if n := len(out); n > 0 && s.from < out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}
