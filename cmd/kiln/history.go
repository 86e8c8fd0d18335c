package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kiln"
	"kiln/internal/history"
	"kiln/internal/trace"
	"kiln/internal/ui"
)

// mostRuns is how many runs are kept; KILN_HISTORY sets another number.
const mostRuns = 500

// store is where the runs of this user are kept.
func store() (history.Store, error) {
	dir, err := home()
	return history.Store{Dir: filepath.Join(dir, "runs")}, err
}

type historyFlags struct {
	most     int
	output   choice
	template string
}

func (f *historyFlags) define(fs *flag.FlagSet) {
	f.output = choice{"text", []string{"text", "json"}}
	fs.IntVar(&f.most, "n", 20, "show at most `N` runs; 0: all")
	fs.Var(&f.output, "output", "`text or json`")
	fs.StringVar(&f.template, "template", "", "only runs of this template `PATH`")
}

var historyCommand = &command{
	name: "history", usage: "[options]", synopsis: "list the runs of this machine",
	about: "Lists runs of kiln build, the newest first: when, of which template, how they ended.\nThe last 500 are kept; KILN_HISTORY sets another number.",
	run: func(_ context.Context, p *program, c *call) int {
		var f historyFlags
		if !c.parse(p, f.define, 0, 0) {
			return exitFailed
		}
		return p.outcome(p.history(&f))
	},
}

func (p *program) history(f *historyFlags) error {
	s, err := store()
	if err != nil {
		return err
	}
	runs, err := s.Runs()
	if err != nil {
		return err
	}
	only := ""
	if f.template != "" {
		if only, err = filepath.Abs(f.template); err != nil {
			return err
		}
	}
	all := []*history.Record{}
	for _, name := range runs {
		r, err := s.Load(name)
		if err != nil {
			fmt.Fprintf(p.errs, "Warning: %v\n", err)
			continue
		}
		if only != "" && r.Template != only {
			continue
		}
		if all = append(all, r); f.most > 0 && len(all) == f.most {
			break
		}
	}
	if f.output.value == "json" {
		p.json(all)
		return nil
	}
	if len(all) == 0 {
		p.say("No runs yet.")
	}
	for _, r := range all {
		p.say("%s", historyLine(r))
	}
	return nil
}

func historyLine(r *history.Record) string {
	good := 0
	for _, b := range r.Builds {
		if b.Result == string(kiln.OutcomeSuccess) {
			good++
		}
	}
	result := r.Result
	if result == "" {
		result = "did not end"
	}
	return fmt.Sprintf("%s  %-11s  %d of %d  %8s  %s", r.Run, result, good, len(r.Builds), (time.Duration(r.Seconds*1000) * time.Millisecond).Round(100*time.Millisecond), r.Template)
}

type logsFlags struct {
	output choice
	build  string
	color  bool
}

func (f *logsFlags) define(fs *flag.FlagSet) {
	f.output = choice{"plain", []string{"plain", "json", "machine-readable"}}
	fs.Var(&f.output, "output", "`plain, json or machine-readable`: as of build")
	fs.StringVar(&f.build, "build", "", "only the build `NAME`")
	fs.BoolVar(&f.color, "color", false, "with colours")
}

var logsCommand = &command{
	name: "logs", usage: "[options] RUN", synopsis: "show the output of a run again",
	about: "Prints what a run printed. RUN is its name or a part of it, last, or -1, -2 and so on,\ncounted from the newest.",
	run: func(_ context.Context, p *program, c *call) int {
		var f logsFlags
		if !c.parseRuns(p, f.define, 1) {
			return exitFailed
		}
		return p.outcome(p.logs(&f, c.args[0]))
	},
}

// parseRuns reads flags and names of runs, which may look like flags: -1.
func (c *call) parseRuns(p *program, define func(*flag.FlagSet), n int) bool {
	for i, a := range c.args {
		if len(a) > 1 && a[0] == '-' && strings.Trim(a[1:], "0123456789") == "" {
			c.args = slices.Insert(slices.Clone(c.args), i, "--")
			break
		}
	}
	return c.parse(p, define, n, n)
}

// replay sends the events of a run to a sink, those of one build where it is
// named.
func replay(word, build string, sink ui.Sink) error {
	s, err := store()
	if err != nil {
		return err
	}
	run, err := s.Find(word)
	if err != nil {
		return err
	}
	if build != "" {
		r, err := s.Load(run)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(r.Builds, func(b *history.Build) bool { return b.Name == build }) {
			return fmt.Errorf("the run %s has no build %q", run, build)
		}
		sink = &oneBuild{sink, build}
	}
	f, err := os.Open(s.EventsPath(run))
	if err != nil {
		return fmt.Errorf("events of run %s: %w", run, err)
	}
	defer f.Close()
	return errors.Join(ui.Replay(f, sink), sink.Close())
}

// oneBuild passes on the events of one build only.
type oneBuild struct {
	ui.Sink
	name string
}

func (o *oneBuild) Event(e kiln.Event) {
	switch {
	case e.Kind == kiln.EventRunStart:
		e.Data = []string{o.name}
	case e.Build != o.name && e.Build != "":
		return
	}
	o.Sink.Event(e)
}

func (p *program) logs(f *logsFlags, word string) error {
	var sink ui.Sink
	switch f.output.value {
	case "json":
		sink = ui.NewJSON(p.out)
	case "machine-readable":
		sink = ui.NewMachineReadable(p.out)
	default:
		sink = ui.NewPlain(p.out, ui.PlainOptions{Color: f.color})
	}
	return replay(word, f.build, sink)
}

type traceFlags struct{ output choice }

func (f *traceFlags) define(fs *flag.FlagSet) {
	f.output = choice{"text", []string{"text", "json"}}
	fs.Var(&f.output, "output", "`text or json`")
}

var traceCommand = &command{
	name: "trace", usage: "[options] RUN", synopsis: "show where the time of a run went",
	about: "Shows the run as spans: builds, phases, steps, transfers and waits, each with its\nbegin and length. Where OTEL_EXPORTER_OTLP_ENDPOINT is set, they are sent there too,\nas every build does at its end.",
	run: func(ctx context.Context, p *program, c *call) int {
		var f traceFlags
		if !c.parseRuns(p, f.define, 1) {
			return exitFailed
		}
		return p.outcome(p.trace(ctx, &f, c.args[0]))
	},
}

func (p *program) trace(ctx context.Context, f *traceFlags, word string) error {
	spans := trace.NewCollector()
	if err := replay(word, "", spans); err != nil {
		return err
	}
	if spans.Run() == nil {
		return errors.New("the run has no events")
	}
	if f.output.value == "json" {
		p.json(spans.Run())
	} else {
		p.say("    begin     length\n%s", strings.TrimRight(spans.Run().Text(), "\n"))
	}
	if !trace.Wanted(os.Getenv) {
		return nil
	}
	return trace.Export(ctx, spans.Run(), kilnVersion)
}

type diffFlags struct{ output choice }

func (f *diffFlags) define(fs *flag.FlagSet) {
	f.output = choice{"text", []string{"text", "json"}}
	fs.Var(&f.output, "output", "`text or json`")
}

var diffCommand = &command{
	name: "diff", usage: "[options] RUN RUN", synopsis: "show what changed between two runs",
	about: "Shows the settings, inputs, results and times in which two runs differ.",
	run: func(_ context.Context, p *program, c *call) int {
		var f diffFlags
		if !c.parseRuns(p, f.define, 2) {
			return exitFailed
		}
		return p.outcome(p.diff(&f, c.args[0], c.args[1]))
	},
}

func (p *program) diff(f *diffFlags, a, b string) error {
	changes, err := diffRuns(a, b)
	if err != nil {
		return err
	}
	if f.output.value == "json" {
		p.json(changes)
		return nil
	}
	if len(changes) == 0 {
		p.say("The runs do not differ.")
	}
	for _, ch := range changes {
		where := ch.Where
		if where == "" {
			where = "run"
		}
		p.say("%s: %s\n  - %s\n  + %s", where, ch.What, ch.Old, ch.New)
	}
	return nil
}

func diffRuns(a, b string) ([]history.Change, error) {
	s, err := store()
	if err != nil {
		return nil, err
	}
	var records []*history.Record
	for _, word := range []string{a, b} {
		run, err := s.Find(word)
		if err != nil {
			return nil, err
		}
		r, err := s.Load(run)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return history.Diff(records[0], records[1]), nil
}
