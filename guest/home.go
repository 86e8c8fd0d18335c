package guest

import (
	"regexp"
)

// home is what a path begins with that the guest's shell is to put in: ~ , ~user or
// $HOME.
var home = regexp.MustCompile(`^(~[A-Za-z0-9._-]*|\$HOME|\$\{HOME\})(/|$)`)

// QuotePath makes a path on the machine one word of a POSIX shell's command line. The
// home folder at its begin is left to that shell, as templates count on; the rest stands
// for itself.
func QuotePath(path string) string {
	begin := home.FindString(path)
	if begin == "" {
		return Quote(path)
	}
	rest := path[len(begin):]
	if begin[0] == '$' {
		// In quotes, as a home folder may have a blank in its name.
		if begin[len(begin)-1] == '/' {
			begin = begin[:len(begin)-1]
			rest = "/" + rest
		}
		begin = `"` + begin + `"`
	}
	if rest == "" {
		return begin
	}
	return begin + Quote(rest)
}
