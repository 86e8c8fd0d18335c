package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"kiln"
	"kiln/internal/engine"
	"kiln/internal/template"
	"kiln/internal/ui"
)

// stage is where a build is seen from its first word to its last: the screen, and the
// reports for other programs. What goes wrong before the run begins is seen on all of
// them too.
type stage struct {
	json       *ui.JSON // -output=json: all that is said is an event; nil: text
	junit      *ui.JUnit
	properties *ui.Properties
	reports    []ui.Sink

	mu      sync.Mutex
	sinks   ui.Sink // masked; nil: what is said is printed, and nowhere else
	running bool    // the screen is among the sinks
	ended   bool    // a run was here
}

// openStage opens the reports, which say from then on that the run failed. Nothing runs
// where they cannot be written.
func (p *program) openStage(f *buildFlags) (*stage, error) {
	s := new(stage)
	if f.output.value == "json" && !p.machine {
		s.json = p.jsonEvents()
	}
	err := s.openReports(f)
	s.sinks = s.early(p)
	return s, err
}

func (s *stage) openReports(f *buildFlags) error {
	var err error
	if f.junit, err = absolute(f.junit); err != nil {
		return err
	}
	if f.properties, err = absolute(f.properties); err != nil {
		return err
	}
	if f.junit != "" && f.junit == f.properties {
		return fmt.Errorf("-junit and -properties name one file: %s", f.junit)
	}
	var errs []error
	if f.junit != "" {
		junit, err := ui.NewJUnit(f.junit)
		if errs = append(errs, err); err == nil {
			s.junit, s.reports = junit, append(s.reports, junit)
		}
	}
	if f.properties != "" {
		properties, err := ui.NewProperties(f.properties)
		if errs = append(errs, err); err == nil {
			s.properties, s.reports = properties, append(s.reports, properties)
		}
	}
	return errors.Join(errs...)
}

// absolute makes a path absolute: the run may go to another folder.
func absolute(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	return filepath.Abs(path)
}

// early are the sinks before the run begins, and after it.
func (s *stage) early(p *program) ui.Sink {
	all := s.reports
	if s.json != nil {
		all = append([]ui.Sink{&first{Sink: s.json}}, all...)
	}
	if len(all) == 0 {
		return nil
	}
	return p.events(all...)
}

// first gives the version of the schema to the first event of all, where the run has
// not begun.
type first struct {
	ui.Sink
	done bool
}

func (f *first) Event(e kiln.Event) {
	if !f.done {
		f.done, e.Version = true, kiln.EventVersion
	}
	f.Sink.Event(e)
}

// tell sends a message as an event, and reports whether it need not be printed.
func (s *stage) tell(kind kiln.EventKind, text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sinks == nil {
		return false
	}
	s.sinks.Event(kiln.Event{Time: time.Now(), Kind: kind, Text: text})
	return s.running || s.json != nil
}

// own says what owns a report while it is written. Before there is a run nothing does.
func (s *stage) own(j kiln.Journal) {
	if s.junit != nil {
		s.junit.Journal = j
	}
	if s.properties != nil {
		s.properties.Journal = j
	}
}

// begin hands over to the sinks of the run.
func (s *stage) begin(sinks ui.Sink) { s.set(sinks, true) }

// end closes the sinks of the run. What is said after it is not part of the reports.
func (s *stage) end(p *program, sinks ui.Sink) error {
	s.set(nil, false)
	err := sinks.Close()
	s.reports, s.ended = nil, true
	s.set(s.early(p), false)
	return err
}

func (s *stage) set(sinks ui.Sink, running bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sinks, s.running = sinks, running
}

// fail ends a stage on which no run came: it shows why, as that of a run that failed.
func (s *stage) fail(p *program, err error) error {
	p.report(err)
	if s.sinks != nil {
		s.sinks.Event(kiln.Event{Time: time.Now(), Kind: kiln.EventRunEnd, Result: kiln.OutcomeFailed})
		closeErr := s.sinks.Close()
		s.set(nil, false)
		p.report(closeErr)
	}
	return &wordedError{kind: err}
}

// plan tells the reports what is to run, and the user what they cannot say of it.
func (s *stage) plan(p *program, f *buildFlags, plan *engine.Plan) error {
	var names []string
	var all []ui.PlannedBuild
	for _, job := range plan.Builds {
		names = append(names, job.Template.Name)
		all = append(all, plannedSteps(job.Template))
	}
	if f.properties != "" {
		for _, same := range ui.SameProperties(names) {
			p.say("Warning: -properties has the same names for the builds %s and %s: only the first is written.",
				same[0], same[1])
		}
	}
	if s.junit == nil {
		return nil
	}
	masked, err := p.redactor.Marshal(all)
	if err == nil {
		err = json.Unmarshal(masked, &all)
	}
	s.junit.Plan(all)
	return err
}

// plannedSteps are the steps of a build, as events name them.
func plannedSteps(b *template.Build) ui.PlannedBuild {
	planned := ui.PlannedBuild{Name: b.Name}
	for _, p := range b.Provisioners {
		title := strings.TrimSpace(p.Type + " " + p.Name)
		planned.Steps = append(planned.Steps, ui.PlannedStep{Component: "provisioner." + p.Type, Title: title})
	}
	for _, chain := range b.Chains {
		for _, pp := range chain {
			planned.Steps = append(planned.Steps,
				ui.PlannedStep{Component: "post-processor." + pp.Type, Title: pp.Type})
		}
	}
	return planned
}
