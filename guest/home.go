package guest

import "strings"

// SplitHome takes off a path what the machine's own shell is to expand: a leading ~,
// ~user, $HOME or ${HOME}. Templates count on that; all else in a path is as it is
// written. Home is "" where there is nothing to expand.
func SplitHome(path string) (home, rest string) {
	first, rest := path, ""
	if i := strings.IndexByte(path, '/'); i >= 0 {
		first, rest = path[:i], path[i:]
	}
	switch {
	case first == "~", first == "$HOME", first == "${HOME}":
		return first, rest
	case strings.HasPrefix(first, "~") && isUser(first[1:]) && rest != "":
		return first, rest
	}
	return "", path
}

// isUser reports whether a name can be that of a user; no such name means anything else
// to a shell.
func isUser(name string) bool {
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789.-", r)) {
			return false
		}
	}
	return name != ""
}

// QuotePath makes a path one word of a POSIX shell's command line, which expands no more
// of it than [SplitHome] takes off.
func QuotePath(path string) string {
	home, rest := SplitHome(path)
	return homeWord(home, rest, Quote)
}

// QuotePathPattern is the same, but *, ? and [ ] keep their meaning.
func QuotePathPattern(path string) string {
	home, rest := SplitHome(path)
	return homeWord(home, rest, QuotePattern)
}

// homeWord puts a word together. The slash after ~user must not be quoted.
func homeWord(home, rest string, quote func(string) string) string {
	if strings.HasPrefix(home, "$") {
		home = `"$HOME"` // fish does not know the other way of writing it
	}
	switch {
	case home == "":
		return quote(rest)
	case rest == "" || rest == "/":
		return home + rest
	}
	return home + "/" + quote(rest[1:])
}
