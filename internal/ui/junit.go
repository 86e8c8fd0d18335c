package ui

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	"kiln"
)

// JUnit writes steps as test cases to a file, a suite for each build.
type JUnit struct {
	Journal  kiln.Journal // owns the file until it is complete; nil: nothing does
	path     string
	planned  []PlannedBuild
	steps    map[string][]PlannedStep // by build
	suites   map[string]*suite
	order    []string
	lines    map[string][]string
	problems []string // beside the builds
	ended    bool
}

// PlannedBuild is a build with the steps that it is to have.
type PlannedBuild struct {
	Name  string
	Steps []PlannedStep // in the order of their numbers
}

// PlannedStep is a provisioner or post-processor.
type PlannedStep struct{ Component, Title string }

type suite struct {
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Stamp    string       `xml:"timestamp,attr,omitempty"`
	Cases    []*test      `xml:"testcase"`
	ran      map[int]bool // steps that have a case
}

type test struct {
	Name    string `xml:"name,attr"`
	Class   string `xml:"classname,attr"`
	Time    string `xml:"time,attr"`
	Skipped *note  `xml:"skipped,omitempty"`
	Failure *note  `xml:"failure,omitempty"`
	Out     string `xml:"system-out,omitempty"`
	step    int
}

type note struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// NewJUnit makes a sink that writes path when it is closed, and at once as that of a
// run that failed before its builds: what an earlier run wrote must not be taken for
// this one's, however it ends.
func NewJUnit(path string) (*JUnit, error) {
	if err := replaceable(path, "JUnit file", isXML); err != nil {
		return nil, err
	}
	j := &JUnit{path: path, suites: map[string]*suite{}, lines: map[string][]string{}}
	return j, j.Close()
}

// Plan says which steps the builds have, so that those that never run are told.
func (j *JUnit) Plan(builds []PlannedBuild) {
	j.planned, j.steps = builds, map[string][]PlannedStep{}
	for _, b := range builds {
		j.steps[b.Name] = b.Steps
	}
}

// Event notes one event.
func (j *JUnit) Event(e kiln.Event) {
	switch {
	case e.Build != "":
		j.build(e)
	case e.Kind == kiln.EventError:
		j.problems = append(j.problems, strings.TrimSpace(e.Text))
	case e.Kind == kiln.EventRunEnd:
		j.ended = true
	}
}

// suite is that of a build.
func (j *JUnit) suite(build string) *suite {
	s := j.suites[build]
	if s == nil {
		s = &suite{Name: printable(build), ran: map[int]bool{}}
		j.suites[build] = s
		j.order = append(j.order, build)
	}
	return s
}

// build notes an event of a build.
func (j *JUnit) build(e kiln.Event) {
	s := j.suite(e.Build)
	if s.Stamp == "" {
		s.Stamp = e.Time.UTC().Format("2006-01-02T15:04:05")
	}
	switch e.Kind {
	case kiln.EventStepStart:
		j.lines[e.Build] = nil
	case kiln.EventOut, kiln.EventErr:
		lines := append(j.lines[e.Build], endOf(e.Text))
		j.lines[e.Build] = lines[max(0, len(lines)-tail):]
	case kiln.EventLayer:
		if e.Text == "hit" {
			s.skip(s.add(e, strings.Join(e.Data, " ")), "unchanged: its layer is used")
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
		j.neverRan(e.Build, map[kiln.BuildOutcome]string{
			kiln.OutcomeSuccess:   "not needed",
			kiln.OutcomeCancelled: "the build was cancelled before",
		}[e.Result])
	}
}

// neverRan adds the steps of a build that have no case.
func (j *JUnit) neverRan(build, why string) {
	if why == "" {
		why = "the build failed before"
	}
	s := j.suite(build)
	for i, step := range j.steps[build] {
		if !s.ran[i+1] {
			s.skip(s.add(kiln.Event{Component: step.Component, Step: i + 1}, step.Title), why)
		}
	}
	slices.SortStableFunc(s.Cases, func(a, b *test) int { return a.step - b.step })
}

func (s *suite) add(e kiln.Event, title string) *test {
	name := title
	if e.Step > 0 {
		name = fmt.Sprintf("%d %s", e.Step, title)
	}
	t := &test{Name: printable(name), Class: printable(s.Name + "." + e.Component),
		Time: fmt.Sprintf("%.3f", e.Seconds), step: e.Step}
	s.Cases = append(s.Cases, t)
	s.Tests++
	if !e.OfCleanup() {
		s.ran[e.Step] = true
	}
	return t
}

func (s *suite) skip(t *test, why string) {
	t.Skipped = &note{Message: why}
	s.Skipped++
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
	if s := j.whole(); s != nil {
		root.Suites = append(root.Suites, s)
	}
	if j.ended {
		for _, b := range j.planned {
			if j.suites[b.Name] == nil {
				j.neverBegan(b)
			}
		}
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

// whole is a suite for what went wrong beside the builds; nil: nothing did.
func (j *JUnit) whole() *suite {
	text := strings.Join(j.problems, "\n")
	switch {
	case text != "":
	case j.ended:
		return nil
	default:
		text = "the run did not end"
	}
	s := &suite{Name: "run", Time: "0.000", ran: map[int]bool{}}
	s.fail(s.add(kiln.Event{Component: "run"}, "run"), text)
	return s
}

// neverBegan adds a build that the run ended before.
func (j *JUnit) neverBegan(b PlannedBuild) {
	s := j.suite(b.Name)
	s.Time = "0.000"
	const why = "the build did not begin"
	if len(b.Steps) == 0 {
		s.skip(s.add(kiln.Event{Component: "build"}, "build"), why)
	}
	j.neverRan(b.Name, why)
}
