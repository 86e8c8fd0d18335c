package download

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// netrcOf is how to log in at a host, as NETRC or ~/.netrc says. What cannot be read says
// nothing.
func netrcOf(host string) (login, password string, ok bool) {
	path := os.Getenv("NETRC")
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", "", false
		}
		path = filepath.Join(home, ".netrc")
		if runtime.GOOS == "windows" {
			path = filepath.Join(home, "_netrc")
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", "", false
	}
	return readNetrc(string(text), host)
}

// readNetrc finds a host in a netrc file: in its own entry, or in that for all others.
func readNetrc(text, host string) (login, password string, ok bool) {
	var words []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) > 0 && fields[0] == "macdef" {
			// A macro goes on to an empty line; those that matter stand in front of it.
			break
		}
		for _, word := range fields {
			if strings.HasPrefix(word, "#") {
				break
			}
			words = append(words, word)
		}
	}
	mine := false
	for i := 0; i < len(words); i++ {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch words[i] {
		case "machine":
			if mine {
				return login, password, true
			}
			mine = strings.EqualFold(next, host)
			i++
		case "default":
			if mine {
				return login, password, true
			}
			mine = true
		case "login", "password", "account":
			if mine && words[i] == "login" {
				login = next
			}
			if mine && words[i] == "password" {
				password = next
			}
			i++
		}
	}
	return login, password, mine
}
