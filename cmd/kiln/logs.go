package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"kiln"
	"kiln/internal/history"
	"kiln/internal/ui"
)

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
	about: "Prints what a run printed. RUN is its name or a part of it, last, or -1, -2 and so on,\n" +
		"counted from the newest.",
	run: func(_ context.Context, p *program, c *call) error {
		var f logsFlags
		if err := c.parseRuns(p, f.define, 1); err != nil {
			return err
		}
		return p.logs(&f, c.args[0])
	},
}

// parseRuns reads flags and names of runs, which may look like flags: -1.
func (c *call) parseRuns(p *program, define func(*flag.FlagSet), n int) error {
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
		sink = ui.NewJSON(p.out.Structured())
	case "machine-readable":
		sink = ui.NewMachineReadable(p.out.Structured())
	default:
		sink = ui.NewPlain(p.out, ui.PlainOptions{Color: f.color})
	}
	return replay(word, f.build, p.events(sink))
}
