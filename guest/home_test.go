package guest

import (
	"os/exec"
	"testing"
)

func TestQuotePath(t *testing.T) {
	for path, want := range map[string]string{
		"/a b/c":       "/a b/c",
		"~":            "/home/me x",
		"~/a b":        "/home/me x/a b",
		"~root/$x":     "/root/$x",
		"$HOME/'a'":    "/home/me x/'a'",
		"${HOME}":      "/home/me x",
		"$HOMES/a":     "$HOMES/a",
		"/~/a":         "/~/a",
		"a/~":          "a/~",
		"~/$(id)":      "/home/me x/$(id)",
		"~a b/c":       "~a b/c",
		"$HOME`id`/x":  "$HOME`id`/x",
		"${HOME:-/x}y": "${HOME:-/x}y",
	} {
		cmd := exec.Command("/bin/sh", "-c", "printf %s "+QuotePath(path))
		cmd.Env = []string{"HOME=/home/me x"}
		if out, err := cmd.Output(); err != nil || string(out) != want {
			t.Errorf("%s: %q, %v, want %q", path, out, err, want)
		}
	}
}
