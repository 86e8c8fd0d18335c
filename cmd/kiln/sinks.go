package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/term"

	"kiln"
	"kiln/internal/history"
	"kiln/internal/trace"
	"kiln/internal/ui"
)

// sinks are all that a run's events go to.
func (p *program) sinks(ctx context.Context, f *buildFlags, dir, run string, record *history.Record, j kiln.Journal) (
	ui.Sink, error) {
	all := []ui.Sink{p.screen(f)}
	file, err := ui.NewEventFile(filepath.Join(dir, "runs", run, "events.jsonl"))
	if err != nil {
		// The run's log is lost, and nothing else.
		p.warn(err)
	} else {
		all = append(all, file)
	}
	// What a run still owns may need the run's own copy of its template to be destroyed.
	owns := func(run string) bool {
		_, err := os.Stat(filepath.Join(dir, "journal", run+".jsonl"))
		return err == nil
	}
	if recorder, err := history.NewRecorder(history.Store{Dir: filepath.Join(dir, "runs"),
		Marshal: p.redactor.Marshal, Needed: owns}, record, historyLimit()); err != nil {
		p.warn(err)
	} else {
		all = append(all, recorder)
	}
	if trace.Wanted(os.Getenv) {
		all = append(all, &exporter{trace.NewCollector(), ctx, p.warn})
	}
	if f.junit != "" {
		junit := ui.NewJUnit(f.junit)
		junit.Journal = j
		all = append(all, junit)
	}
	if f.properties != "" {
		properties := ui.NewProperties(f.properties)
		properties.Journal = j
		all = append(all, properties)
	}
	logger, err := p.logger()
	if err != nil {
		return nil, err
	}
	if logger != nil {
		all = append(all, logger)
	}
	return p.events(all...), nil
}

// screen is the sink for standard output.
func (p *program) screen(f *buildFlags) ui.Sink {
	switch {
	case p.machine:
		os.Setenv("PACKER_NO_COLOR", "1") // for children too
		return ui.NewMachineReadable(p.out.Structured())
	case f.output.value == "json":
		return ui.NewJSON(p.out.Structured())
	}
	terminal := p.terminal != nil && term.IsTerminal(int(p.terminal.Fd()))
	live := f.output.value == "live" || f.output.value == "auto" && terminal && !p.asPacker() &&
		!f.debug && !f.timestamp && os.Getenv("TERM") != "dumb"
	color := f.color.value && env("NO_COLOR") == "" && os.Getenv("NO_COLOR") == ""
	if !p.asPacker() && !terminal && !f.color.set {
		color = false
	}
	if live {
		return ui.NewLive(p.out, ui.LiveOptions{Color: color, Size: p.windowSize})
	}
	return ui.NewPlain(p.out, ui.PlainOptions{Color: color, Timestamp: f.timestamp})
}

// windowSize is that of the terminal; zero: there is none.
func (p *program) windowSize() (width, height int) {
	if p.terminal == nil {
		return 0, 0
	}
	width, height, err := term.GetSize(int(p.terminal.Fd()))
	if err != nil {
		return 0, 0
	}
	return width, height
}

// logSink writes events as the lines of PACKER_LOG.
type logSink struct {
	log *log.Logger
	end func() error
}

// logger is the log that the environment asks for; nil: none.
func (p *program) logger() (ui.Sink, error) {
	path, on := env("LOG_PATH"), env("LOG")
	switch {
	case path != "":
		f, err := os.Create(path)
		if err != nil {
			return nil, fmt.Errorf("log file: %w", err)
		}
		out := p.redactor.Stream(f)
		return startLog(&logSink{log.New(out, "", log.LstdFlags),
			func() error { return errors.Join(out.Flush(), f.Close()) }}), nil
	case on != "" && on != "0":
		return startLog(&logSink{log.New(p.errs, "", log.LstdFlags), p.errs.Flush}), nil
	}
	return nil, nil
}

func startLog(s *logSink) *logSink {
	s.log.Printf("[INFO] Packer version: %s [Kiln %s]", packerVersion, kilnVersion)
	return s
}

func (s *logSink) Event(e kiln.Event) {
	text := e.Text
	if e.Error != "" {
		text += " error: " + e.Error
	}
	s.log.Printf("[INFO] %s %s %s: %s", e.Kind, e.Build, e.Component, text)
}

func (s *logSink) Close() error { return s.end() }

// exporter sends the spans of a run when it has ended.
type exporter struct {
	*trace.Collector
	ctx  context.Context // of the run's end
	warn func(error)
}

// Close sends them. That they cannot be sent does not make the run fail.
func (e *exporter) Close() error {
	if e.Run() == nil {
		return nil
	}
	if err := trace.Export(e.ctx, e.Run(), kilnVersion); err != nil {
		e.warn(err)
	}
	return nil
}

// historyLimit is how many runs are kept.
func historyLimit() int {
	if n, err := strconv.Atoi(os.Getenv("KILN_HISTORY")); err == nil && n > 0 {
		return n
	}
	return mostRuns
}
