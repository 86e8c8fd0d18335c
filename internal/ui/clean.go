package ui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Clean is text without what would do something to a terminal: escape sequences and
// control characters. What a machine prints must not reach beyond its line.
func Clean(text string) string {
	if !strings.ContainsFunc(text, control) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if control(r) {
			return -1
		}
		return r
	}, ansi.Strip(text))
}

// control reports whether r is a control character that no text needs.
func control(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0
}
