package main

import (
	"context"
	"flag"

	"kiln/internal/history"
)

type diffFlags struct{ output choice }

func (f *diffFlags) define(fs *flag.FlagSet) {
	f.output = choice{"text", []string{"text", "json"}}
	fs.Var(&f.output, "output", "as `FORMAT`: text or json")
}

var diffCommand = &command{
	name: "diff", usage: "[options] RUN RUN", synopsis: "show what changed between two runs",
	about: "Shows the settings, inputs, results and times in which two runs differ.",
	run: func(_ context.Context, p *program, c *call) error {
		var f diffFlags
		if err := c.parseRuns(p, f.define, 2); err != nil {
			return err
		}
		return p.diff(&f, c.args[0], c.args[1])
	},
}

func (p *program) diff(f *diffFlags, a, b string) error {
	changes, err := diffRuns(a, b)
	if err != nil {
		return err
	}
	if f.output.value == "json" {
		return p.json(changes)
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
		r, err := recordOf(s, run)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return history.Diff(records[0], records[1]), nil
}
