package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kiln"
	"kiln/internal/home"
	"kiln/internal/journal"
)

type cleanupFlags struct {
	dryRun   bool
	vars     pairs
	varFiles texts
}

func (f *cleanupFlags) define(fs *flag.FlagSet) {
	fs.Var(&f.vars, "var", "a secret variable of the run's template, `'name=value'`; may be repeated")
	fs.Var(&f.varFiles, "var-file", "read secret variables from `FILE`; may be repeated")
	fs.BoolVar(&f.dryRun, "dry-run", false, "show what would be destroyed, and destroy nothing")
}

var cleanupCommand = &command{
	name: "cleanup", usage: "[options] [RUN]", synopsis: "destroy what crashed runs left behind",
	about: "Destroys everything that runs which are no longer alive still own: containers,\nimages, files, processes. Nothing that the journal does not name is touched. Where\ncredentials are needed, they come from the run's own copy of its template; what was\nsecret is given again, with -var, -var-file or the environment.",
	run: func(ctx context.Context, p *program, c *call) error {
		var f cleanupFlags
		c.optionsBehind()
		if err := c.parse(p, f.define, 0, 1); err != nil {
			return err
		}
		dir, err := home.Open()
		if err != nil {
			return err
		}
		ctx, stop := interruptible(ctx)
		defer stop()
		only := ""
		if len(c.args) > 0 {
			only = c.args[0]
		}
		return p.cleanup(ctx, dir, only, &f)
	},
}

func (p *program) cleanup(ctx context.Context, dir, only string, f *cleanupFlags) error {
	journals := filepath.Join(dir, "journal")
	runs, unread := journal.Runs(journals)
	only, err := ownRun(runs, only, unread)
	if err != nil {
		return err
	}
	for _, file := range f.varFiles {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("-var-file: %w", err)
		}
	}
	find := newReapers(ctx, p, dir, f.vars, f.varFiles)
	var ended []string
	for _, run := range runs {
		if only == run.ID || only == "" && !run.Live {
			ended = append(ended, run.ID)
		}
	}
	if err := find.checkVars(ended); err != nil {
		return err
	}
	var parts []kiln.Resource
	var partsErr error
	if only == "" {
		parts, partsErr = kiln.AbandonedParts(dir)
	}
	if f.dryRun {
		return p.listOpen(runs, only, parts, errors.Join(unread, partsErr))
	}
	count := 0
	cleaner := journal.Cleaner{Dir: journals, Reaper: find.reaper,
		Gone:     func(run string, r kiln.Resource) { count++; p.say("%s: destroyed %s", run, r) },
		Replaced: func(run string, r kiln.Resource) { p.say("%s: %s is left alone: it is another one now", run, r) },
		Beyond:   func(run string, r kiln.Resource) { count++; p.say("%s: %s: %v", run, r, kiln.ErrOutOfReach) },
		Failed:   func(run string, r kiln.Resource, err error) { p.fail("%s: could not destroy %s: %v", run, r, err) },
	}
	err = errors.Join(cleaner.Clean(ctx, only), partsErr)
	for _, r := range parts {
		if removeErr := kiln.RemoveFile(r)(ctx); errors.Is(removeErr, kiln.ErrReplaced) {
			continue
		} else if removeErr != nil {
			err = errors.Join(err, &kiln.UndestroyedError{Resource: r, Err: removeErr})
			continue
		}
		count++
		p.say("destroyed %s, which was never complete", r)
	}
	for _, run := range runs {
		if run.Live && only == "" {
			p.say("%s: still running as process %d, left alone", run.ID, run.PID)
		}
	}
	if err != nil {
		left := kiln.Undestroyed(err)
		for _, e := range kiln.Errors(err) {
			if !strings.HasPrefix(e.Error(), "destroy ") {
				p.report(e)
			}
		}
		if len(left) > 0 {
			return wordedf("Error: %d of %d things could not be destroyed. They are still in the journal: "+
				"run %s cleanup again when the cause is gone.", len(left), len(left)+count, p.name)
		}
		return errReported
	}
	if count == 0 {
		p.say("Nothing to clean up.")
	}
	return nil
}

// ownRun is the whole id of a run that is named by it, by a part of it, or as last: of
// those that own something.
func ownRun(runs []journal.Run, word string, err error) (string, error) {
	if word == "" {
		return "", nil
	}
	var fit []string
	for _, run := range runs {
		if run.ID == word || word == "last" && run.ID == runs[len(runs)-1].ID {
			return run.ID, nil
		}
		if strings.Contains(run.ID, word) {
			fit = append(fit, run.ID)
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) > 1:
		return "", fmt.Errorf("%q fits %d runs: %s", word, len(fit), strings.Join(fit, ", "))
	case err != nil:
		return "", err
	case len(runs) == 0:
		return "", fmt.Errorf("run %s owns nothing, nor does any other: %w", word, kiln.ErrNotFound)
	}
	var all []string
	for _, run := range runs {
		all = append(all, run.ID)
	}
	return "", fmt.Errorf(
		"run %s owns nothing; these do: %s: %w",
		word,
		strings.Join(all, ", "),
		kiln.ErrNotFound,
	)
}

// listOpen lists what a clean-up would destroy. Unread is why there may be more.
func (p *program) listOpen(runs []journal.Run, only string, parts []kiln.Resource, unread error) error {
	none := len(parts) == 0
	for _, r := range parts {
		p.say("%s, which was never complete", r)
	}
	for _, run := range runs {
		if only != "" && run.ID != only {
			continue
		}
		note := ""
		if run.Live {
			note = ", still running and left alone"
		}
		p.say("%s (%s, begun %s%s):", run.ID, run.Template, run.Started.Local().Format(time.DateTime), note)
		for i := len(run.Open) - 1; i >= 0; i-- {
			none = false
			by := ""
			if run.Open[i].Build != "" {
				by = run.Open[i].Build + ": "
			}
			p.say("  %s%s", by, run.Open[i].Resource)
		}
	}
	switch {
	case none && only != "":
		return errors.Join(unread, fmt.Errorf("run %s owns nothing: %w", only, kiln.ErrNotFound))
	case none && unread == nil:
		p.say("Nothing to clean up.")
	}
	return unread
}
