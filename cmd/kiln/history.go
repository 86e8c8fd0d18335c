package main

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"time"

	"kiln"
	"kiln/internal/history"
	"kiln/internal/home"
)

// mostRuns is how many runs are kept; KILN_HISTORY sets another number.
const mostRuns = 500

// store is where the runs of this user are kept.
func store() (history.Store, error) {
	dir, err := home.Open()
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
	about: "Lists runs of kiln build, the newest first: when, of which template, how they ended.\n" +
		"The last 500 are kept; KILN_HISTORY sets another number.",
	run: func(_ context.Context, p *program, c *call) error {
		var f historyFlags
		if err := c.parse(p, f.define, 0, 0); err != nil {
			return err
		}
		return p.history(&f)
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
			p.warn(err)
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
		return p.json(all)
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
	return fmt.Sprintf("%s  %-11s  %d of %d  %8s  %s", r.Run, result, good, len(r.Builds),
		(time.Duration(r.Seconds*1000) * time.Millisecond).Round(100*time.Millisecond), r.Template)
}
