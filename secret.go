package kiln

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Masked is what stands in the place of a secret.
const Masked = "<sensitive>"

// Secret is text that hides itself from printing, JSON and logs.
type Secret string

func (Secret) String() string               { return Masked }
func (Secret) GoString() string             { return Masked }
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Masked + `"`), nil }

// Reveal is the secret itself, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

// Redactor masks secrets in text, in the forms in which tools print them: as
// they are, line by line, base64 (at each alignment and wrapped), hexadecimal,
// URL-, JSON-, HTML- and shell-escaped. The zero value masks nothing and is
// ready for use. There is one in a program; every sink is behind it.
type Redactor struct {
	mu    sync.Mutex
	forms map[string]bool
	rep   atomic.Pointer[strings.Replacer]
}

// minDerived is the least length of an encoded form that is masked: shorter ones
// occur in harmless text all the time. The secret itself is masked at any length.
const minDerived = 4

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
	all := make([]string, 0, len(r.forms))
	for f := range r.forms {
		all = append(all, f)
	}
	// The replacer takes the first that fits at a place: the longest must come first.
	slices.SortFunc(all, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	pairs := make([]string, 0, 2*len(all))
	for _, f := range all {
		pairs = append(pairs, f, Masked)
	}
	r.rep.Store(strings.NewReplacer(pairs...))
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

// Mask is text with every known secret replaced.
func (r *Redactor) Mask(text string) string {
	rep := r.rep.Load()
	if rep == nil || text == "" {
		return text
	}
	return rep.Replace(text)
}

// MaskEvent is the event with every text in it masked.
func (r *Redactor) MaskEvent(e Event) Event {
	if r.rep.Load() == nil {
		return e
	}
	e.Text, e.Error, e.Build, e.Component = r.Mask(e.Text), r.Mask(e.Error), r.Mask(e.Build), r.Mask(e.Component)
	e.Data = r.maskAll(e.Data)
	if e.Artifact != nil {
		a := *e.Artifact
		a.ID, a.Text = r.Mask(a.ID), r.Mask(a.Text)
		a.Files, a.Tags = r.maskAll(a.Files), r.maskAll(a.Tags)
		a.Resources = slices.Clone(a.Resources)
		for i := range a.Resources {
			a.Resources[i] = r.maskResource(a.Resources[i])
		}
		e.Artifact = &a
	}
	if e.Resource != nil {
		res := r.maskResource(*e.Resource)
		e.Resource = &res
	}
	return e
}

func (r *Redactor) maskResource(res Resource) Resource {
	res.ID = r.Mask(res.ID)
	attrs := make(map[string]string, len(res.Attrs))
	for k, v := range res.Attrs {
		attrs[k] = r.Mask(v)
	}
	if res.Attrs != nil {
		res.Attrs = attrs
	}
	return res
}

func (r *Redactor) maskAll(in []string) []string {
	if in == nil {
		return nil
	}
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = r.Mask(s)
	}
	return out
}

// encodings are the forms of s in which common tools print it.
func encodings(s string) []string {
	out := []string{
		hex.EncodeToString([]byte(s)), strings.ToUpper(hex.EncodeToString([]byte(s))),
		url.QueryEscape(s), url.PathEscape(s), strings.ReplaceAll(url.QueryEscape(s), "+", "%20"),
		html.EscapeString(s), strings.Trim(fmt.Sprintf("%q", s), `"`),
		strings.ReplaceAll(s, `'`, `'\''`), strings.ReplaceAll(s, `'`, `'"'"'`),
		backslashed(s, "\"$`\\"), backslashed(s, " !\"$&'()*;<>?[]\\^`{|}"), backslashed(s, " !\"$&'()*,;<>?[]\\^`{|}~#"),
		strings.NewReplacer("\\", `\\`, "'", `\'`, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(s),
		// PowerShell's escapes, which our own provisioners write.
		strings.NewReplacer("`", "``", "$", "`$", `"`, "`\"", "'", "`'").Replace(s),
	}
	out = append(out, lowerEscapes(out[2]), lowerEscapes(out[3]))
	for _, escape := range []bool{true, false} {
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(escape)
		if enc.Encode(s) == nil {
			escaped := strings.Trim(strings.TrimSpace(b.String()), `"`)
			out = append(out, escaped)
			if escaped != s { // a JSON document in base64, as cloud APIs take them
				out = append(out, base64s(escaped)...)
			}
		}
	}
	return append(out, base64s(s)...)
}

// lowerEscapes writes the %XX of URL escapes in lower case, as some tools do.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], strings.ToLower(s[i+1:i+3]))
			i += 2
		}
	}
	return string(b)
}

func backslashed(s, special string) string {
	var b strings.Builder
	for _, c := range s {
		if strings.ContainsRune(special, c) {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// base64s are the base64 forms of s: alone, with a newline as `echo` adds it,
// wrapped at 76 columns, and within a longer text at each of three alignments,
// there only the characters that depend on nothing else.
func base64s(s string) []string {
	var out []string
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for _, text := range []string{s, s + "\n"} {
			whole := enc.EncodeToString([]byte(text))
			out = append(out, whole, strings.TrimRight(whole, "="))
			for _, width := range []int{64, 76} {
				for rest := whole; len(whole) > width && rest != ""; {
					n := min(width, len(rest))
					out, rest = append(out, rest[:n]), rest[n:]
				}
			}
		}
		for shift := range 3 {
			// The first character holds bits of what stands before the secret,
			// the last ones bits of what comes after it.
			e := enc.WithPadding(base64.NoPadding).EncodeToString(append(make([]byte, shift), s...))
			from, to := (shift*8+5)/6, (shift+len(s))*8/6
			if to <= len(e) && to-from >= minDerived {
				out = append(out, e[from:to])
			}
		}
	}
	return out
}
