package ui

import (
	"bytes"
	"strings"
	"testing"

	"kiln"
)

// What is left behind is not called clean, in any form.
func TestCancelledWithLeftovers(t *testing.T) {
	for _, left := range []bool{false, true} {
		var plain, machine bytes.Buffer
		for _, s := range []Sink{NewPlain(&plain, PlainOptions{}), NewMachineReadable(&machine, false)} {
			s.Event(kiln.Event{Kind: kiln.EventRunStart, Data: []string{"a"}})
			s.Event(kiln.Event{Kind: kiln.EventBuildStart, Build: "a"})
			if left {
				s.Event(kiln.Event{Kind: kiln.EventLeft, Build: "a",
					Resource: &kiln.Resource{Kind: "container", ID: "c1"}})
			}
			s.Event(kiln.Event{Kind: kiln.EventBuildEnd, Build: "a", Error: "build was cancelled: received interrupt",
				Result: kiln.OutcomeCancelled})
			s.Event(kiln.Event{Kind: kiln.EventRunEnd, Result: kiln.OutcomeCancelled})
		}
		for name, text := range map[string]string{"plain": plain.String(), "machine": machine.String()} {
			clean, not := strings.Contains(text, "Cleanly"), strings.Contains(text, "Not all could be cleaned up")
			if clean == left || not != left {
				t.Errorf("%s, left %v: %s", name, left, text)
			}
		}
		if left && !strings.Contains(plain.String(), "Left behind by a: container c1") {
			t.Errorf("%s", &plain)
		}
	}
}
