package kiln

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestSecretHidesItself(t *testing.T) {
	s := Secret("x1y2")
	text, err := json.Marshal(struct{ S Secret }{s})
	if all := fmt.Sprintf("%v %s %q %#v %s %v", s, s, s, s, text, err); strings.Contains(all, "x1y2") {
		t.Errorf("it shows: %s", all)
	}
}

func TestLineWriter(t *testing.T) {
	var lines []string
	w := &LineWriter{Line: func(s string) { lines = append(lines, s) }}
	for _, s := range []string{"one\ntw", "o  \n\n10%\r50%\r100%\nbad \xff", "\nrest"} {
		fmt.Fprint(w, s)
	}
	w.Close()
	if got := strings.Join(lines, "|"); got != "one|two||100%|bad \uFFFD|rest" {
		t.Errorf("got %q", got)
	}
}
