// Package guest is what happens inside a machine, as far as components share it:
// quoting for its shell, the variables that its scripts are given, and running
// scripts there.
package guest

import "strings"

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
