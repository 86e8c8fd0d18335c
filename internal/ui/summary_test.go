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

// Where a build failed is not where its cleanup failed.
func TestFailedBeforeCleanup(t *testing.T) {
	var out bytes.Buffer
	p := NewPlain(&out, PlainOptions{})
	for i, component := range []string{"provisioner.shell", "error-cleanup-provisioner.shell-local"} {
		_, title, _ := strings.Cut(component, ".")
		step := kiln.Event{Build: "a", Component: component, Step: i + 1, Text: title}
		for _, kind := range []kiln.EventKind{kiln.EventStepStart, kiln.EventOut, kiln.EventStepEnd} {
			step.Kind = kind
			if kind == kiln.EventStepEnd {
				step.Error = "exit code 3"
			}
			p.Event(step)
		}
	}
	p.Event(kiln.Event{Kind: kiln.EventBuildEnd, Build: "a", Error: "both", Result: kiln.OutcomeFailed})
	p.Event(kiln.Event{Kind: kiln.EventRunEnd, Result: kiln.OutcomeFailed})
	if want := "a failed in step 1, provisioner shell.\nIts last 1 line(s):\n    shell\n"; !strings.Contains(out.String(), want) {
		t.Errorf("%s", &out)
	}
}
