package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"strings"

	"kiln/internal/trace"
)

type traceFlags struct{ output choice }

func (f *traceFlags) define(fs *flag.FlagSet) {
	f.output = choice{"text", []string{"text", "json"}}
	fs.Var(&f.output, "output", "as `FORMAT`: text or json")
}

var traceCommand = &command{
	name: "trace", usage: "[options] RUN", synopsis: "show where the time of a run went",
	about: "Shows the run as spans: builds, phases, steps, transfers and waits, each with its\n" +
		"begin and length. Where OTEL_EXPORTER_OTLP_ENDPOINT is set, they are sent there too,\n" +
		"as every build does at its end.",
	run: func(ctx context.Context, p *program, c *call) error {
		var f traceFlags
		if err := c.parseRuns(p, f.define, 1); err != nil {
			return err
		}
		return p.trace(ctx, &f, c.args[0])
	},
}

func (p *program) trace(ctx context.Context, f *traceFlags, word string) error {
	spans := trace.NewCollector()
	s, err := store()
	if err != nil {
		return err
	}
	run, err := s.Find(word)
	if err != nil {
		return err
	}
	if err := replay(ctx, s, run, "", false, p.events(spans)); err != nil {
		return err
	}
	if spans.Run() == nil {
		return errors.New("the run has no events")
	}
	if f.output.value == "json" {
		if err := p.json(spans.Run()); err != nil {
			return err
		}
	} else {
		p.say("    begin     length\n%s", strings.TrimRight(spans.Run().Text(), "\n"))
	}
	if !trace.Wanted(os.Getenv) {
		return nil
	}
	return trace.Export(ctx, spans.Run(), kilnVersion)
}
