package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"kiln"
	"kiln/internal/history"
	"kiln/internal/ui"
)

type logsFlags struct {
	output choice
	build  string
	color  bool
	follow bool
}

func (f *logsFlags) define(fs *flag.FlagSet) {
	f.output = choice{"plain", []string{"plain", "json", "machine-readable"}}
	fs.Var(&f.output, "output", "as `FORMAT`: plain, json or machine-readable")
	fs.StringVar(&f.build, "build", "", "only the build `NAME`")
	fs.BoolVar(&f.color, "color", false, "with colours")
	fs.BoolVar(&f.follow, "follow", false, "of a run that goes on, show what it prints until it ends")
}

var logsCommand = &command{
	name: "logs", usage: "[options] RUN", synopsis: "show the output of a run again",
	about: "Prints what a run printed. RUN is its name or a part of it, last, or -1, -2 and so on,\n" +
		"counted from the newest.",
	run: func(ctx context.Context, p *program, c *call) error {
		var f logsFlags
		if err := c.parseRuns(p, f.define, 1); err != nil {
			return err
		}
		ctx, stop := interruptible(ctx)
		defer stop()
		return p.logs(ctx, &f, c.args[0])
	},
}

// parseRuns reads flags and names of runs, which may look like flags: -1.
func (c *call) parseRuns(p *program, define func(*flag.FlagSet), n int) error {
	const mark = "run " // no run's name begins with it
	c.args = slices.Clone(c.args)
	for i, a := range c.args {
		if len(a) > 1 && a[0] == '-' && strings.Trim(a[1:], "0123456789") == "" {
			c.args[i] = mark + a
		}
	}
	err := c.parse(p, define, n, n)
	for i, a := range c.args {
		c.args[i] = strings.TrimPrefix(a, mark)
	}
	return err
}

// replay sends the events of a run to a sink, those of one build where it is
// named. With follow it waits for more as long as the run goes on.
func replay(ctx context.Context, s history.Store, run, build string, follow bool, sink ui.Sink) error {
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
	var in io.Reader = f
	if follow {
		in = &follower{ctx: ctx, file: f, live: func() bool { return s.Live(run) }}
	}
	return errors.Join(ui.Replay(in, sink), sink.Close())
}

// follower reads a file that a run still writes to, until the run has ended.
type follower struct {
	ctx  context.Context
	file *os.File
	live func() bool
	over bool
}

// Read waits where there is nothing yet.
func (f *follower) Read(p []byte) (int, error) {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		n, err := f.file.Read(p)
		if n > 0 || err != io.EOF || f.over {
			return n, err
		}
		// What was written before the run ended is there now: one more look.
		if f.over = !f.live(); f.over {
			continue
		}
		if err := kiln.Sleep(f.ctx, pause); err != nil {
			return 0, err
		}
	}
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

// logs shows a run again.
func (p *program) logs(ctx context.Context, f *logsFlags, word string) error {
	s, err := store()
	if err != nil {
		return err
	}
	run, err := s.Find(word)
	if err != nil {
		return err
	}
	var sink ui.Sink
	switch {
	case f.output.value == "json":
		sink = ui.NewJSON(p.out.Structured())
	case f.output.value == "machine-readable" || p.machine:
		sink = ui.NewMachineReadable(p.out.Structured(), false)
	default:
		sink = ui.NewPlain(p.out, ui.PlainOptions{Color: f.color, Terminal: p.onTerminal()})
	}
	end := &ending{Sink: p.events(sink)}
	err = replay(ctx, s, run, f.build, f.follow, end)
	if errors.Is(err, context.Canceled) {
		return errReported // whoever follows a run stops when he has seen enough
	}
	if err == nil && !end.seen {
		what := "did not come to its end"
		if s.Live(run) {
			what = "goes on: -follow shows what it prints"
		}
		fmt.Fprintf(p.errs, "The run %s %s.\n", run, what)
	}
	return err
}

// ending notes whether a run has come to its end.
type ending struct {
	ui.Sink
	seen bool
}

func (e *ending) Event(event kiln.Event) {
	e.seen = e.seen || event.Kind == kiln.EventRunEnd
	e.Sink.Event(event)
}
