package redact

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
)

// encodings are the forms of s in which common tools print it. Hexadecimal ones are found
// by reading dumps.
func encodings(s string) []string {
	out := []string{
		url.QueryEscape(s), url.PathEscape(s), strings.ReplaceAll(url.QueryEscape(s), "+", "%20"),
		html.EscapeString(s), strings.Trim(fmt.Sprintf("%q", s), `"`),
		strings.ReplaceAll(s, `'`, `'\''`), strings.ReplaceAll(s, `'`, `'"'"'`),
		backslashed(s, "\"$`\\"), backslashed(s, " !\"$&'()*;<>?[]\\^`{|}"),
		backslashed(s, " !\"$&'()*,;<>?[]\\^`{|}~#"),
		strings.NewReplacer("\\", `\\`, "'", `\'`, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(s),
		// PowerShell's escapes, which our own provisioners write.
		strings.NewReplacer("`", "``", "$", "`$", `"`, "`\"", "'", "`'").Replace(s),
	}
	out = append(out, lowerEscapes(out[0]), lowerEscapes(out[1]))
	quoted := strings.NewReplacer("${", "$${", "%{", "%%{").Replace(s) // as HCL writes it
	out = append(out, quoted)
	for _, escape := range []bool{true, false} {
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(escape)
		if enc.Encode(s) == nil {
			escaped := strings.Trim(strings.TrimSpace(b.String()), `"`)
			out = append(out, escaped)
			out = append(out, strings.NewReplacer("${", "$${", "%{", "%%{").Replace(escaped))
			if escaped != s { // a JSON document in base64, as cloud APIs take them
				out = append(out, base64s(escaped)...)
			}
		}
	}
	return append(append(out, base64s(s)...), base32s(s)...)
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
			if to <= len(e) && to-from >= minLength {
				out = append(out, e[from:to])
			}
		}
	}
	return out
}

// base32s are the base32 forms of s, in both letter cases, as base64s has them.
func base32s(s string) (out []string) {
	for _, text := range []string{s, s + "\n"} {
		whole := base32.StdEncoding.EncodeToString([]byte(text))
		out = append(out, whole, strings.TrimRight(whole, "="))
	}
	for shift := range 5 {
		e := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(append(make([]byte, shift), s...))
		from, to := (shift*8+4)/5, (shift+len(s))*8/5
		if to <= len(e) && to-from >= minLength {
			out = append(out, e[from:to])
		}
	}
	for _, f := range out {
		out = append(out, strings.ToLower(f))
	}
	return out
}
