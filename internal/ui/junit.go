package ui

import (
	"encoding/xml"
	"fmt"
	"strings"

	"kiln"
)

// JUnit writes steps as test cases to a file, a suite for each build.
type JUnit struct {
	Journal kiln.Journal // owns the file until it is complete; nil: nothing does
	path    string
	suites  map[string]*suite
	order   []string
	lines   map[string][]string
}

type suite struct {
	Name     string  `xml:"name,attr"`
	Tests    int     `xml:"tests,attr"`
	Failures int     `xml:"failures,attr"`
	Skipped  int     `xml:"skipped,attr"`
	Time     string  `xml:"time,attr"`
	Stamp    string  `xml:"timestamp,attr"`
	Cases    []*test `xml:"testcase"`
}

type test struct {
	Name    string `xml:"name,attr"`
	Class   string `xml:"classname,attr"`
	Time    string `xml:"time,attr"`
	Skipped *note  `xml:"skipped,omitempty"`
	Failure *note  `xml:"failure,omitempty"`
	Out     string `xml:"system-out,omitempty"`
}

type note struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// NewJUnit makes a sink that writes path when it is closed.
func NewJUnit(path string) *JUnit {
	return &JUnit{path: path, suites: map[string]*suite{}, lines: map[string][]string{}}
}

// Event notes one event.
func (j *JUnit) Event(e kiln.Event) {
	if e.Build == "" {
		return
	}
	s := j.suites[e.Build]
	if s == nil {
		s = &suite{Name: printable(e.Build), Stamp: e.Time.UTC().Format("2006-01-02T15:04:05")}
		j.suites[e.Build] = s
		j.order = append(j.order, e.Build)
	}
	switch e.Kind {
	case kiln.EventStepStart:
		j.lines[e.Build] = nil
	case kiln.EventOut, kiln.EventErr:
		lines := append(j.lines[e.Build], e.Text)
		j.lines[e.Build] = lines[max(0, len(lines)-tail):]
	case kiln.EventLayer:
		if e.Text == "hit" {
			s.add(e, strings.Join(e.Data, " ")).Skipped = &note{Message: "unchanged: its layer is used"}
			s.Skipped++
		}
	case kiln.EventStepEnd:
		t := s.add(e, e.Text)
		t.Out = printable(strings.Join(j.lines[e.Build], "\n"))
		if e.Error != "" {
			s.fail(t, e.Error)
		}
	case kiln.EventBuildEnd:
		s.Time = fmt.Sprintf("%.3f", e.Seconds)
		// A failure outside of steps must be seen too.
		if e.Error != "" && s.Failures == 0 {
			s.fail(s.add(kiln.Event{Component: "build", Seconds: e.Seconds}, "build"), e.Error)
		}
	}
}

func (s *suite) add(e kiln.Event, title string) *test {
	name := title
	if e.Step > 0 {
		name = fmt.Sprintf("%d %s", e.Step, title)
	}
	t := &test{Name: printable(name), Class: printable(s.Name + "." + e.Component),
		Time: fmt.Sprintf("%.3f", e.Seconds)}
	s.Cases = append(s.Cases, t)
	s.Tests++
	return t
}

func (s *suite) fail(t *test, text string) {
	first, _, _ := strings.Cut(text, "\n")
	t.Failure = &note{Message: printable(first), Text: printable(text)}
	s.Failures++
}

// printable leaves out what XML cannot hold.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\t' || r == 0xFFFE || r == 0xFFFF {
			return -1
		}
		return r
	}, s)
}

// Close writes the file.
func (j *JUnit) Close() error {
	var root struct {
		XMLName xml.Name `xml:"testsuites"`
		Suites  []*suite `xml:"testsuite"`
	}
	for _, name := range j.order {
		root.Suites = append(root.Suites, j.suites[name])
	}
	text, err := xml.MarshalIndent(root, "", "  ")
	if err == nil {
		err = kiln.WriteOwned(j.Journal, j.path, append([]byte(xml.Header), append(text, '\n')...), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write JUnit file: %w", err)
	}
	return nil
}
