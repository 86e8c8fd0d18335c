package main

import "testing"

func TestComplete(t *testing.T) {
	words := []string{"var.image", "var.image_tag", "var.size", "upper(", "{{user `a`}}", "{{upper", "exit"}
	for line, want := range map[string]string{
		"va": "var.", "var.s": "var.size", "upper(var.i": "upper(var.image", "1+var.s": "1+var.size",
		"up": "upper(", "zz": "zz", "": "", "ex": "exit",
		"{{us": "{{user `a`}}", "{{user `a": "{{user `a`}}", "x {{up": "x {{upper", "upper(": "upper(",
	} {
		if got, _ := complete(words, line); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
	if _, choices := complete(words, "var.image"); len(choices) != 2 {
		t.Errorf("choices %q", choices)
	}
}
