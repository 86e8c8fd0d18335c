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

	"kiln"
)

// Redactor knows the secrets of a program. It masks them in the forms in which tools
// print them: as they are, line by line, base64 (at each alignment and wrapped),
// hexadecimal, URL-, JSON-, HTML- and shell-escaped. The zero value masks nothing
// and is ready for use.
type Redactor struct {
	mu    sync.Mutex
	forms map[string]bool
	known atomic.Pointer[known] // nil: there are no secrets
}

// known is what there is to mask at one time.
type known struct {
	replacer *strings.Replacer
	sorted   []string          // forms in alphabetical order
	by       map[byte][]string // forms by their first byte, the longest first
	longest  int
}

// Add makes the redactor mask a secret from now on.
func (r *Redactor) Add(secret string) {
	if strings.TrimSpace(secret) == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.forms[secret] {
		return
	}
	if r.forms == nil {
		r.forms = map[string]bool{}
	}
	unix := strings.ReplaceAll(secret, "\r\n", "\n")
	r.add(secret)
	r.add(unix)
	for line := range strings.SplitSeq(unix, "\n") {
		r.add(line)
	}
	r.known.Store(index(r.forms))
}

func (r *Redactor) add(s string) {
	if strings.TrimSpace(s) == "" {
		return
	}
	r.forms[s] = true
	for _, f := range encodings(s) {
		if len(f) >= minDerived {
			r.forms[f] = true
		}
	}
}

func index(forms map[string]bool) *known {
	k := &known{by: map[byte][]string{}}
	for f := range forms {
		k.sorted = append(k.sorted, f)
	}
	slices.Sort(k.sorted)
	all := slices.Clone(k.sorted)
	if !forms[kiln.Masked] {
		// What is masked already stays as it is: text may pass twice.
		all = append(all, kiln.Masked)
	}
	// The replacer takes the first that fits at a place: the longest must come first.
	slices.SortStableFunc(all, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(all))
	for _, f := range all {
		pairs = append(pairs, f, kiln.Masked)
		k.by[f[0]] = append(k.by[f[0]], f)
	}
	k.replacer, k.longest = strings.NewReplacer(pairs...), len(all[0])
	return k
}

// Holds reports whether text holds a known secret in any form.
func (r *Redactor) Holds(text string) bool { return r.mask(text) != text }

// mask is text with every known secret replaced.
func (r *Redactor) mask(text string) string {
	k := r.known.Load()
	if k == nil || text == "" {
		return text
	}
	return k.replacer.Replace(text)
}

// split masks a text that goes on: rest is its end from where a secret may have
// begun whose other part is yet to come.
func (k *known) split(text string) (masked, rest string) {
	if !k.mayBegin(text) {
		return k.replacer.Replace(text), ""
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		if k.begins(text[i:]) {
			return b.String(), text[i:]
		}
		n := k.match(text[i:])
		if n > 0 {
			b.WriteString(kiln.Masked)
			i += n
			continue
		}
		b.WriteByte(text[i])
		i++
	}
	return b.String(), ""
}

// mayBegin reports whether any end of text is the beginning of a form.
func (k *known) mayBegin(text string) bool {
	for i := max(0, len(text)-k.longest+1); i < len(text); i++ {
		if k.begins(text[i:]) {
			return true
		}
	}
	return false
}

// begins reports whether some form goes on after text.
func (k *known) begins(text string) bool {
	if len(text) >= k.longest {
		return false
	}
	at, found := slices.BinarySearch(k.sorted, text)
	if found {
		at++
	}
	return at < len(k.sorted) && strings.HasPrefix(k.sorted[at], text)
}

// match is the length of the longest form that text begins with; 0: there is none.
func (k *known) match(text string) int {
	for _, f := range k.by[text[0]] {
		if strings.HasPrefix(text, f) {
			return len(f)
		}
	}
	return 0
}
