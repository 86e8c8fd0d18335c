package main

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"kiln"
	"kiln/internal/history"
	"kiln/internal/home"
	"kiln/internal/template"
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
	result   choice
}

func (f *historyFlags) define(fs *flag.FlagSet) {
	f.output = choice{"text", []string{"text", "json"}}
	fs.IntVar(&f.most, "n", 20, "show at most `N` runs; 0: all")
	fs.Var(&f.output, "output", "as `FORMAT`: text or json")
	fs.StringVar(&f.template, "template", "", "only runs of this template `PATH`, or of those in this folder")
	f.result = choice{"", []string{"success", "failed", "cancelled", "killed", "running"}}
	fs.Var(&f.result, "result", "only runs with this `RESULT`: success, failed, cancelled, killed or running")
}

var historyCommand = &command{
	name: "history", usage: "[options]", synopsis: "list the runs of this machine",
	about: "Lists runs of build, the newest first: when, of which template, how they ended.\n" +
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
	wanted := func(string) bool { return true }
	if f.template != "" {
		if wanted, err = ofTemplate(f.template); err != nil {
			return err
		}
	}
	all := []*history.Record{}
	for _, name := range runs {
		r, err := recordOf(s, name)
		if err != nil {
			p.warn(err)
			continue
		}
		if !wanted(r.Template) || f.result.value != "" && f.result.value != r.Result {
			continue
		}
		if all = append(all, r); f.most > 0 && len(all) == f.most {
			break
		}
	}
	if f.output.value == "json" {
		return p.json(all)
	}
	switch {
	case len(all) > 0:
	case len(runs) == 0:
		p.say("No runs yet.")
	default:
		p.say("No such runs.")
	}
	for _, r := range all {
		p.say("%s", historyLine(r))
	}
	return nil
}

// recordOf is the record of a run, completed by its events where the run has not ended
// by itself.
func recordOf(s history.Store, run string) (*history.Record, error) {
	return s.Read(run, func(r *history.Resumed) error {
		return replay(context.Background(), s, run, "", false, r)
	})
}

// ofTemplate makes a test of whether a run was that of a template: of the file, of the
// folder that it is one of, or of a template in the folder.
func ofTemplate(path string) (func(string) bool, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	names := []string{abs}
	if real, err := filepath.EvalSymlinks(abs); err == nil && real != abs {
		names = append(names, real)
	}
	const sep = string(filepath.Separator)
	return func(run string) bool {
		for _, name := range names {
			inside := strings.HasPrefix(run, strings.TrimSuffix(name, sep)+sep)
			if run == name || inside || template.IsHCL(name) && run == filepath.Dir(name) {
				return true
			}
		}
		return false
	}, nil
}

func historyLine(r *history.Record) string {
	good := 0
	for _, b := range r.Builds {
		if b.Result == string(kiln.OutcomeSuccess) {
			good++
		}
	}
	return fmt.Sprintf("%s  %-11s  %d of %d  %8s  %s", r.Run, r.Result, good, len(r.Builds),
		(time.Duration(r.Seconds*1000) * time.Millisecond).Round(100*time.Millisecond), r.Template)
}
