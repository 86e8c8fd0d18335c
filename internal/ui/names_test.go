package ui

import (
	"fmt"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"kiln"
)

// Names that differ anywhere near an end stay apart, at any width that has room.
func TestShortenKeepsApart(t *testing.T) {
	for _, c := range []struct {
		width int
		names []string
	}{
		{13, []string{"docker.service-frontend-eu-west-1", "docker.service-frontend-eu-west-2"}},
		{26, []string{"docker.service-frontend-eu-west-1", "docker.service-frontend-eu-west-2"}},
		{13, []string{"docker.web-a-and-the-same-long-end", "docker.web-b-and-the-same-long-end"}},
		{13, []string{"docker.region-1-of-the-long-list", "docker.region-2-of-the-long-list"}},
		{13, []string{"docker.x[\"one-two-three\"]", "docker.x[\"six-two-three\"]"}},
		{10, []string{"世界世界世界世界一", "世界世界世界世界二", "short"}},
		{1, []string{"abc"}},
		{0, []string{"abc"}},
	} {
		short := shorten(c.names, c.width)
		seen := map[string]bool{}
		for i, s := range short {
			if w := ansi.StringWidth(s); w > max(1, c.width) {
				t.Errorf("%q has %d columns of %d", s, w, c.width)
			}
			if seen[s] {
				t.Errorf("%d columns: %q stands for two of %q", c.width, s, c.names)
			}
			seen[s] = true
			if ansi.StringWidth(c.names[i]) <= c.width && s != c.names[i] {
				t.Errorf("%q was cut to %q", c.names[i], s)
			}
		}
	}
}

// rowsOf draws the rows of a run.
func rowsOf(width, height int, events []kiln.Event) []string {
	var b strings.Builder
	l := NewLive(&b, LiveOptions{Size: func() (int, int) { return width, height }, Every: -1})
	defer l.Close()
	for _, e := range events {
		l.Event(e)
	}
	return strings.Split(strings.TrimSuffix(l.rows(), "\n"), "\n")
}

// With more builds than rows, those that fail or failed are seen, and some that run.
func TestFailingBuildsComeFirst(t *testing.T) {
	const end = "in-a-region-with-a-long-name-"
	var events []kiln.Event
	name := func(i int) string { return fmt.Sprintf("docker.%s%d", end, i) }
	for i := range 30 {
		events = append(events, kiln.Event{Time: start, Kind: kiln.EventBuildStart, Build: name(i)})
	}
	fails := func(i int) kiln.Event {
		return kiln.Event{Kind: kiln.EventBuildEnd, Build: name(i), Error: "it broke", Result: kiln.OutcomeFailed}
	}
	step := kiln.Event{Kind: kiln.EventStepEnd, Component: "provisioner.shell", Step: 1, Error: "it broke"}
	for _, i := range []int{20, 25} {
		step.Build = name(i)
		events = append(events, step)
	}
	events = append(events, fails(20))
	for _, width := range []int{40, 80} {
		rows := rowsOf(width, 18, events)
		if len(rows) != 7 {
			t.Fatalf("%d columns: %d rows: %q", width, len(rows), rows)
		}
		seen := map[string]bool{}
		for i, want := range []string{"-20 ", "-25 ", "-0 ", "-1 "} {
			if !strings.Contains(rows[i], want) {
				t.Errorf("%d columns: row %d is %q, want %s", width, i, rows[i], want)
			}
		}
		for _, row := range rows {
			if first, _, _ := strings.Cut(row, " "); seen[first] {
				t.Errorf("%d columns: two rows begin %q", width, first)
			} else {
				seen[first] = true
			}
			if w := ansi.StringWidth(row); w >= width {
				t.Errorf("a row of %d columns in %d: %q", w, width, row)
			}
		}
		if !strings.Contains(rows[0], "failed in step 1") || !strings.HasPrefix(rows[6], "29 running") {
			t.Errorf("%d columns: %q", width, rows)
		}
	}
	// However many failed, one that runs has a row.
	for i := range 29 {
		events = append(events, fails(i))
	}
	if rows := rowsOf(80, 18, events); !strings.Contains(strings.Join(rows, "\n"), "-29 ") {
		t.Errorf("%q", rows)
	}
}
