package ui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// shorten cuts names to a width so that they stay apart: in the middle, or where that
// leaves two alike, elsewhere.
func shorten(names []string, width int) []string {
	longest := 0
	for _, name := range names {
		longest = max(longest, ansi.StringWidth(name))
	}
	half := func(name string) string { return cutMiddle(name, width, (width-1)/2) }
	if cut, ok := apart(names, half); ok || longest <= width {
		return cut
	}
	for tail := (width + 1) / 2; tail < width; tail++ {
		if cut, ok := apart(names, func(name string) string { return cutMiddle(name, width, tail) }); ok {
			return cut
		}
	}
	// They differ in the middle, or near their begin.
	for from := range longest {
		if cut, ok := apart(names, func(name string) string { return cutAround(name, width, from) }); ok {
			return cut
		}
	}
	cut, _ := apart(names, half)
	return cut
}

// apart cuts names, and reports whether no two of them are alike then.
func apart(names []string, cut func(string) string) (all []string, ok bool) {
	seen := map[string]string{}
	ok = true
	for _, name := range names {
		short := cut(name)
		if other, found := seen[short]; found && other != name {
			ok = false
		}
		seen[short] = name
		all = append(all, short)
	}
	return all, ok
}

// cutAround cuts a name to a width, leaving out its first columns.
func cutAround(name string, width, from int) string {
	switch {
	case ansi.StringWidth(name) <= width:
		return name
	case from == 0:
		return ansi.Truncate(name, width, "…")
	}
	return ansi.Truncate("…"+ansi.TruncateLeft(name, from, ""), width, "…")
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
