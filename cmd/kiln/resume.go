package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"kiln"
	"kiln/internal/engine"
	"kiln/internal/history"
	"kiln/internal/template"
)

// resume makes a plan one for what the last run of its template left undone.
func (p *program) resume(ctx context.Context, f *buildFlags, t *template.Template, plan *engine.Plan) error {
	if t.Path == "-" {
		return errors.New("-resume goes by a template's path: one on standard input has none")
	}
	layers, err := openLayers(f.layers, engine.ReadLayers)
	if err != nil {
		return err
	}
	if layers == nil {
		return errors.New("-resume goes on from kept layers, and none are wanted: they are off by -no-cache, " +
			"by KILN_CACHE=off, or because this is called as packer without KILN_CACHE=on")
	}
	last, err := lastRun(t.Path)
	if err != nil {
		return err
	}
	earlier := engine.Earlier{Run: last.Run, Builds: map[string]kiln.BuildOutcome{}}
	for _, b := range last.Builds {
		// Of builds of one name, the one that is undone counts.
		if was, ok := earlier.Builds[b.Name]; !ok || was == kiln.OutcomeSuccess {
			earlier.Builds[b.Name] = kiln.BuildOutcome(b.Result)
		}
	}
	say, err := plan.Resume(ctx, earlier, len(f.only) > 0,
		engine.Options{Dir: t.Dir, Layers: layers, Reaper: reaper})
	if err != nil {
		return fmt.Errorf(
			"%w\nWithout -resume, %s build begins at the deepest layer that fits, if there is one", err, p.name,
		)
	}
	for _, line := range say {
		p.say("%s", line)
	}
	return nil
}

// lastRun is the newest run of a template.
func lastRun(path string) (*history.Record, error) {
	s, err := store()
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	runs, err := s.Runs()
	if err != nil {
		return nil, err
	}
	for _, name := range runs {
		if r, err := s.Load(name); err != nil || r.Template != abs {
			continue
		}
		r, err := recordOf(s, name)
		if err != nil {
			return nil, err
		}
		if r.Result == history.Running {
			return nil, fmt.Errorf("run %s of this template goes on: there is nothing to resume yet", name)
		}
		return r, nil
	}
	return nil, fmt.Errorf("there is nothing to resume: no run of %s is known here", path)
}
