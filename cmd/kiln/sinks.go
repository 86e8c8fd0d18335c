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
func (p *program) sinks(
	ctx context.Context,
	f *buildFlags,
	s *stage,
	dir, run string,
	record *history.Record,
) (ui.Sink, error) {
	logger, err := p.logger()
	if err != nil {
		return nil, err // before anything says that there was a run
	}
	all := []ui.Sink{p.screen(f, s), p.memory(ctx, dir, run, record)}
	if trace.Wanted(os.Getenv) {
		all = append(all, &exporter{trace.NewCollector(), ctx, p.warn})
	}
	all = append(all, s.reports...)
	if logger != nil {
		all = append(all, logger)
	}
	return p.events(all...), nil
}

// memory is the sink of what is remembered of a run: its events and its record. What of
// that is lost, as on a full disk, is told once, and nothing fails for it.
type memory struct {
	sinks []ui.Sink
	warn  func(error)
	end   func()
	told  bool
}

func (p *program) memory(ctx context.Context, dir, run string, record *history.Record) *memory {
	m := &memory{warn: p.warn, end: func() {}}
	// What a run still owns may need the run's own copy of its template to be destroyed.
	owns := func(run string) bool {
		_, err := os.Stat(filepath.Join(dir, "journal", run+".jsonl"))
		return err == nil
	}
	store := history.Store{Dir: filepath.Join(dir, "runs"), Marshal: p.redactor.Marshal, Needed: owns}
	release, err := store.Hold(ctx, run)
	if err != nil {
		m.lost(err)
	} else {
		m.end = release
	}
	if file, err := ui.NewEventFile(store.EventsPath(run)); err != nil {
		m.lost(err)
	} else {
		m.sinks = append(m.sinks, file)
	}
	most, err := historyLimit()
	if err != nil {
		m.lost(err)
		most = mostRuns
	}
	if recorder, err := history.NewRecorder(store, record, most); err != nil {
		m.lost(err)
	} else {
		m.sinks = append(m.sinks, recorder)
	}
	return m
}

// lost tells that something is not remembered: the first cause stands for all.
func (m *memory) lost(err error) {
	if err != nil && !m.told {
		m.told = true
		m.warn(fmt.Errorf("the log or the history of this run is not complete: %w", err))
	}
}

func (m *memory) Event(e kiln.Event) {
	for _, s := range m.sinks {
		s.Event(e)
	}
}

func (m *memory) Close() error {
	for _, s := range m.sinks {
		m.lost(s.Close())
	}
	m.end()
	return nil
}

// screen is the sink for standard output.
func (p *program) screen(f *buildFlags, s *stage) ui.Sink {
	switch {
	case p.machine:
		os.Setenv("PACKER_NO_COLOR", "1") // for children too
		return ui.NewMachineReadable(p.out.Structured(), f.timestamp)
	case s.json != nil:
		return s.json
	}
	terminal := p.onTerminal()
	live := f.output.value == "live" || f.output.value == "auto" && terminal && !p.asPacker() &&
		!f.debug && !f.timestamp && os.Getenv("TERM") != "dumb" && !onCI(os.Getenv("CI"))
	color := f.color.value && env("NO_COLOR") == "" && os.Getenv("NO_COLOR") == ""
	if !p.asPacker() && !terminal && !f.color.set {
		color = false
	}
	if live {
		return ui.NewLive(p.out, ui.LiveOptions{Color: color, Size: p.windowSize})
	}
	return ui.NewPlain(p.out, ui.PlainOptions{Color: color, Legend: f.color.value && p.asPacker(),
		Timestamp: f.timestamp, Terminal: terminal})
}

// jsonEvents writes events to standard output. They come masked: see stage.
func (p *program) jsonEvents() *ui.JSON { return ui.NewJSON(p.out.Structured()) }

// onCI reports whether the variable CI says that nobody watches the terminal.
func onCI(value string) bool {
	yes, err := strconv.ParseBool(value)
	return yes || err != nil && value != ""
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
			func() error { return errors.Join(out.Flush(), f.Close()) }}, p.asPacker()), nil
	case on != "" && on != "0":
		return startLog(&logSink{log.New(p.errs, "", log.LstdFlags), p.errs.Flush}, p.asPacker()), nil
	}
	return nil, nil
}

func startLog(s *logSink, asPacker bool) *logSink {
	s.log.Printf("[INFO] Packer version: %s", packerVersion)
	if !asPacker {
		s.log.Printf("[INFO] Kiln version: %s", kilnVersion)
	}
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
func historyLimit() (int, error) {
	text := os.Getenv("KILN_HISTORY")
	if text == "" {
		return mostRuns, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("KILN_HISTORY: invalid number %q: it says how many runs are kept, 1 or more", text)
	}
	return n, nil
}
