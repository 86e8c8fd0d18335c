// Package guest is what happens inside a machine, as far as components share it:
// quoting for its shell, the variables that its scripts are given, and running
// scripts there.
package guest

import (
	"fmt"
	"strings"
)

// Quote makes text one word of a POSIX shell's command line.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// QuotePattern is the same, but *, ? and [ ] keep their meaning.
func QuotePattern(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case strings.ContainsRune("*?[]!-", r), r == '/', r == '.', r == '_',
			r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r > 127:
			b.WriteRune(r)
		case r == '\n':
			b.WriteString("'\n'")
		default:
			b.WriteByte('\\')
			b.WriteRune(r)
		}
	}
	return b.String()
}

// IsPattern reports whether a path has characters that a shell expands.
func IsPattern(s string) bool { return strings.ContainsAny(s, "*?[") }

// Sh hands a script to sh, whichever the user's own shell is.
func Sh(script string) string { return "exec sh -c " + evalWord(script) }

// InLoginShell hands a script to the user's own shell if that is one which understands it,
// and else to sh: fish and the descendants of csh do not. None of them reads more of the
// line than it can.
func InLoginShell(script string) string {
	word := evalWord(script)
	return `sh -c 'case ${SHELL##*/} in *csh|fish|elvish|nu|xonsh|pwsh) ;; *) exit 1; esac' && ` +
		"exec sh -c " + word + " || eval " + word
}

// evalWord is a line of a POSIX shell that runs a script, as a word that any shell passes
// on as it is: single quotes with neither a quote, a line break nor a ! in them, which csh
// looks at even there.
func evalWord(script string) string {
	var b strings.Builder
	for i := range len(script) {
		switch c := script[i]; c {
		case '\n':
			b.WriteString(`\n`)
		case '\'', '"', '\\', '$', '`', '!', '\r', '\t':
			fmt.Fprintf(&b, `\0%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return `'eval "$(printf %b "` + b.String() + `")"'`
}
