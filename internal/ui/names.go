package ui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// shorten cuts names to a width so that they stay apart: in the middle, and further
// to the front where they differ only at their ends.
func shorten(names []string, width int) []string {
	for tail := (width - 1) / 2; tail < width; tail++ {
		var cut []string
		seen := map[string]string{}
		apart := true
		for _, name := range names {
			short := cutMiddle(name, width, tail)
			if other, ok := seen[short]; ok && other != name {
				apart = false
				break
			}
			seen[short] = name
			cut = append(cut, short)
		}
		if apart {
			return cut
		}
	}
	// They differ in the middle: as much of the end as there is room for must do.
	var cut []string
	for _, name := range names {
		cut = append(cut, cutMiddle(name, width, (width-1)/2))
	}
	return cut
}

// cutMiddle cuts a name to a width, of which tail columns are its end.
func cutMiddle(name string, width, tail int) string {
	full := ansi.StringWidth(name)
	if full <= width {
		return name
	}
	head := max(0, width-1-tail)
	return ansi.Truncate(name, head, "") + "…" + ansi.TruncateLeft(name, full-min(tail, width-1), "")
}

// pad fills a text up to a width.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-ansi.StringWidth(text)))
}
