package guest

import (
	"os/exec"
	"testing"
)

// A shell makes of each path what is expected, and nothing else of it.
func TestQuotePath(t *testing.T) {
	for path, want := range map[string]string{
		"~":              "/h o",
		"~/x y":          "/h o/x y",
		"~/":             "/h o/",
		"~root/a'b":      "/root/a'b",
		"~root":          "~root",
		"$HOME/a$HOME":   "/h o/a$HOME",
		"${HOME}/x":      "/h o/x",
		"$HOMER/x":       "$HOMER/x",
		"$HOME":          "/h o",
		"/a/~/$HOME":     "/a/~/$HOME",
		"~$(id)/x":       "~$(id)/x",
		"~a;id/x":        "~a;id/x",
		"~+/x":           "~+/x",
		"~-/x":           "~-/x",
		"~1/x":           "~1/x",
		"~//x":           "/h o//x",
		"":               "",
		"a b":            "a b",
		"~/`id` \"x\"\n": "/h o/`id` \"x\"\n",
	} {
		for _, word := range []string{QuotePath(path), QuotePathPattern(path)} {
			cmd := exec.Command("sh", "-c", "x="+word+`; printf '%s' "$x"`)
			cmd.Env = []string{"HOME=/h o", "PATH=/bin:/usr/bin"}
			if out, err := cmd.Output(); err != nil || string(out) != want {
				t.Errorf("%q as %s: got %q, %v, want %q", path, word, out, err, want)
			}
		}
	}
}
