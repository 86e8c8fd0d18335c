package ui

import (
	"fmt"
	"strings"
	"time"

	"kiln"
)

// tail is how many lines of a failed step's output are shown again.
const tail = 20

// tailLine bounds each of these lines: a program may print without ever ending a line.
const tailLine = 4 << 10

// endOf is the end of a line that is kept to be shown again.
func endOf(text string) string {
	if len(text) <= tailLine {
		return text
	}
	return "…" + strings.ToValidUTF8(text[len(text)-tailLine:], "")
}

// runState follows a run and knows what is to be said at its end. Every sink for
// people has one.
type runState struct {
	start  time.Time
	order  []string
	builds map[string]*buildState
	result kiln.BuildOutcome
	hints  []string
}

// buildState is what a runState knows of one build.
type buildState struct {
	name        string
	index       int
	started     time.Time
	phase       string
	failedPhase string // the last phase that was not cleaning up
	step        string // title of the running step
	component   string
	number      int
	steps       int
	lines       []string // last lines of the running step
	progress    kiln.Event
	failedIn    string
	lastLines   []string
	ended       bool
	took        time.Duration
	err         string
	outcome     kiln.BuildOutcome
	artifacts   []*kiln.Artifact
	left        []kiln.Resource
}

func newRunState() *runState { return &runState{builds: map[string]*buildState{}} }

func (s *runState) build(name string) *buildState {
	c := s.builds[name]
	if c == nil {
		c = &buildState{name: name, index: len(s.order)}
		s.builds[name] = c
		s.order = append(s.order, name)
	}
	return c
}

// states are all builds in their order, those that never began last.
func (s *runState) states() []*buildState {
	var all []*buildState
	for _, name := range s.order {
		all = append(all, s.builds[name])
	}
	return all
}

func (s *runState) event(e kiln.Event) {
	if e.Kind == kiln.EventRunStart {
		s.start = e.Time
		for _, name := range e.Data {
			s.build(name)
		}
		return
	}
	if e.Kind == kiln.EventRunEnd {
		s.result, s.hints = e.Result, e.Data
		return
	}
	if e.Build == "" {
		return
	}
	c := s.build(e.Build)
	switch e.Kind {
	case kiln.EventBuildStart:
		c.started = e.Time
	case kiln.EventPhase:
		c.phase, c.progress = e.Text, kiln.Event{}
		if e.Text != "cleanup" {
			c.failedPhase = e.Text
		}
		c.step = ""
		if e.Text == "capture" {
			c.goesOn()
		}
	case kiln.EventStepStart:
		if strings.HasPrefix(e.Component, "provisioner.") {
			c.goesOn()
		}
		c.step, c.component, c.number, c.steps = e.Text, e.Component, e.Step, int(e.Total)
		c.lines, c.progress = nil, kiln.Event{}
	case kiln.EventStepEnd:
		// The step that failed before it is what the cleanup is for.
		if e.Error != "" && !(e.OfCleanup() && c.failedIn != "") {
			c.failedIn = fmt.Sprintf("step %d, %s", e.Step, strings.ReplaceAll(e.Component, ".", " "))
			if _, typ, _ := strings.Cut(e.Component, "."); e.Text != typ && e.Text != "" {
				c.failedIn += " (" + e.Text + ")"
			}
			c.lastLines = c.lines
		}
		c.step = ""
	case kiln.EventOut, kiln.EventErr:
		c.lines = append(c.lines, endOf(e.Text))
		if len(c.lines) > tail {
			c.lines = c.lines[1:]
		}
	case kiln.EventProgress:
		c.progress = e
	case kiln.EventArtifact:
		c.artifacts = append(c.artifacts, e.Artifact)
	case kiln.EventLeft:
		if e.Resource != nil {
			c.left = append(c.left, *e.Resource)
		}
	case kiln.EventBuildEnd:
		if c.failedIn == "" && e.Error != "" {
			c.failedIn = "phase " + c.failedPhase
		}
		c.ended, c.took, c.err, c.outcome, c.phase = true, seconds(e.Seconds), e.Error, e.Result, "done"
	}
}

// goesOn forgets a failed provisioner that did not end the build.
func (c *buildState) goesOn() { c.failedIn, c.lastLines = "", nil }

// failed lists the builds that failed, in order.
func (s *runState) failed() (all []*buildState) {
	for _, c := range s.states() {
		if c.ended && c.outcome != kiln.OutcomeSuccess {
			all = append(all, c)
		}
	}
	return all
}

// line is one message: its kind decides where and in which colour it goes.
type line struct {
	text   string
	error  bool
	colour int // of the build; -1: none
}

// summary is what is said after all builds have ended.
func (s *runState) summary(took time.Duration) []line {
	say := func(format string, args ...any) line { return line{text: fmt.Sprintf(format, args...), colour: -1} }
	bad := func(format string, args ...any) line {
		return line{text: fmt.Sprintf(format, args...), error: true, colour: -1}
	}
	out := []line{say("\n==> Wait completed after %s", Duration(took))}
	if s.result == kiln.OutcomeCancelled {
		return append(append(out, say("%s", s.cancelled())), s.leftovers()...)
	}
	failed := s.failed()
	if len(failed) > 0 {
		out = append(out, bad("\n==> Some builds didn't complete successfully and had errors:"))
		for _, c := range failed {
			out = append(out, bad("--> %s: %s", c.name, c.err))
		}
	}
	made := false
	for _, c := range s.states() {
		for _, a := range c.artifacts {
			if !made {
				out = append(out, say("\n==> Builds finished. The artifacts of successful builds are:"))
				made = true
			}
			out = append(out, say("--> %s: %s", c.name, a))
		}
	}
	if !made {
		out = append(out, say("\n==> Builds finished but no artifacts were created."))
	}
	for _, c := range failed {
		out = append(out, c.failure()...)
	}
	return append(out, s.leftovers()...)
}

// cancelled is what is said of a run that was cancelled.
func (s *runState) cancelled() string {
	for _, c := range s.states() {
		if len(c.left) > 0 {
			return "Cancelled builds after being interrupted. Not all could be cleaned up."
		}
	}
	return "Cleanly cancelled builds after being interrupted."
}

// failure tells where a build failed and what was printed last.
func (c *buildState) failure() []line {
	var out []line
	if c.failedPhase == "wait" {
		return nil // it never began: the build that it needs tells why
	}
	out = append(out, line{text: fmt.Sprintf("\n%s failed in %s.", c.name, c.failedIn), error: true, colour: -1})
	if len(c.lastLines) > 0 {
		text := fmt.Sprintf("Its last %d line(s):", len(c.lastLines))
		for _, l := range c.lastLines {
			text += "\n    " + l
		}
		out = append(out, line{text: text, colour: -1})
	}
	return out
}

// leftovers tells what is left behind, and what to type next.
func (s *runState) leftovers() []line {
	var out []line
	for _, c := range s.states() {
		for _, r := range c.left {
			out = append(out, line{text: fmt.Sprintf("Left behind by %s: %s", c.name, r), error: true, colour: -1})
		}
	}
	if len(s.hints) > 0 {
		out = append(out, line{text: "Next: " + strings.Join(s.hints, "\n      "), colour: -1})
	}
	return out
}

// message is an event of a build as the plain format prints it; false where the
// plain format has nothing to say.
func message(e kiln.Event) (text string, bad, ok bool) {
	switch e.Kind {
	case kiln.EventSay, kiln.EventOut, kiln.EventWarn:
		return e.Text, false, true
	case kiln.EventErr, kiln.EventError:
		return e.Text, true, true
	case kiln.EventLayer:
		what := strings.Join(e.Data, " ")
		if e.Text == "hit" {
			return fmt.Sprintf("Step %d (%s) is unchanged: its layer is used", e.Step, what), false, true
		}
		return fmt.Sprintf("Step %d (%s) has no layer: %s", e.Step, what, e.Text), false, true
	}
	return "", false, false
}

// prefix puts "==> NAME: " before each line of a message.
func prefix(e kiln.Event, text string) string {
	target := e.Build
	if typ, ok := strings.CutPrefix(e.Component, "post-processor."); ok {
		target += " (" + typ + ")"
	}
	text = strings.TrimRight(text, " \t\r\n")
	text = "==> " + target + ": " + strings.ReplaceAll(text, "\n", "\n==> "+target+": ")
	return strings.TrimRight(text, " ")
}

// ending is what is said when a build ends.
func ending(e kiln.Event) (string, bool) {
	if e.Result == kiln.OutcomeSuccess {
		return fmt.Sprintf("Build '%s' finished after %s.", e.Build, Duration(seconds(e.Seconds))), false
	}
	return fmt.Sprintf("Build '%s' errored after %s: %s", e.Build, Duration(seconds(e.Seconds)), e.Error), true
}
