package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kiln"
	"kiln/schema"
)

// Forecast is what a run would do with one build.
type Forecast struct {
	PlannedBuild
	Start   string         `json:"start"`             // where the machine starts from, in words
	Runs    int            `json:"runs"`              // provisioners that would run
	Caveats []string       `json:"caveats,omitempty"` // what may change it until the run begins
	Same    bool           `json:"unchanged,omitempty"`
	last    *kiln.Artifact // of the last run, where this one would make the same
}

// What would happen to a provisioner.
const (
	LayerHit    = "hit"    // a kept layer stands for it
	LayerMiss   = "miss"   // it runs, and its effect is kept
	LayerAlways = "always" // it runs whatever is kept
	LayerNone   = "none"   // it runs; the builder keeps no layers, or none are wanted
)

// Foresee tells what a run would do, in the order in which builds can begin, without
// making or changing anything. Of the options it uses Dir, Layers and Reaper.
func Foresee(ctx context.Context, plan *Plan, o Options) ([]Forecast, error) {
	var all []Forecast
	done := map[string]*Forecast{}
	q := newQueue(plan)
	for job := q.next(); job != nil; job = q.next() {
		f, err := foresee(ctx, job, o, done)
		if err != nil {
			return all, fmt.Errorf("%s: %w", job.Template.Name, err)
		}
		all = append(all, *f)
		done[f.Name] = f
		q.ended(job.Index)
	}
	return all, nil
}

func foresee(
	ctx context.Context,
	job *Job,
	o Options,
	done map[string]*Forecast,
) (*Forecast, error) {
	t := job.Template
	f := &Forecast{PlannedBuild: job.describe()}
	// What the needed builds made last is what they would make again, if nothing of
	// them changed.
	var remade []string
	for _, need := range t.Needs {
		if n := done[need]; n == nil || n.last == nil {
			remade = append(remade, need)
		}
	}
	w := &work{runner: &runner{Options: o}, job: job}
	resumed, err := w.foreseeStart(ctx, f, remade)
	if err != nil {
		return nil, err
	}
	w.foreseeSteps(f, resumed, remade)
	if w.captured != nil {
		if last := o.Layers.recall(w); last != nil && last.again() {
			f.last = last.Artifact
			if f.Runs == 0 && last.Posts != "" && last.Posts == w.postsOf() {
				if f.Same, err = last.stands(ctx, w); err != nil {
					return nil, fmt.Errorf("look for what the last run made: %w", err)
				}
				if !f.Same {
					f.Caveats = append(f.Caveats, "not all that the last run made is still there")
				}
			}
			if t.Publish != nil {
				t.Publish(last.Artifact)
			}
		}
	}
	return f, nil
}

// foreseeStart asks the builder how many steps a kept layer stands for; -1: it
// cannot be told.
func (w *work) foreseeStart(ctx context.Context, f *Forecast, remade []string) (int, error) {
	component, diags := w.job.Template.Builder.Decode(nil)
	if err := diagError(diags); err != nil {
		return 0, err
	}
	store, ok := component.(kiln.LayerStore)
	switch {
	case !ok:
		f.Start = "its source; this builder keeps no layers"
		return -1, nil
	case w.Layers == nil:
		f.Start = "its source; no layers are wanted"
		return -1, nil
	case len(remade) > 0:
		f.Start = "the artifact of " + strings.Join(remade, ", ") + ", which is made again"
		return -1, nil
	}
	caveat := func(e kiln.Event) {
		if e.Kind == kiln.EventWarn {
			f.Caveats = append(f.Caveats, e.Text)
		}
	}
	host := kiln.Host{
		Emit: caveat, Layers: w.layerKeys, Last: w.last, Render: w.render, Checksum: w.Layers.Checksum,
	}
	w.b = kiln.NewBuild(
		kiln.Build{
			Name:   w.job.Template.Name,
			Source: w.job.Template.Source,
			Type:   w.job.Template.Builder.Type,
			Dir:    w.Dir,
		},
		host,
	)
	resumed, last, err := store.FindLayer(ctx, w.b)
	if err != nil {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		f.Start = "its source; layers cannot be looked up: " + err.Error()
		return -1, nil
	}
	f.Start = "its source"
	switch {
	case last != nil:
		f.Start = "what it made last, which is kept"
	case resumed > 0:
		f.Start = fmt.Sprintf("the layer after step %d", resumed)
	}
	w.captured = last
	return resumed, nil
}

func (w *work) foreseeSteps(f *Forecast, resumed int, remade []string) {
	missed, local := false, 0
	for i, p := range w.job.Template.Provisioners {
		component, _ := p.Decode(nil)
		s := &f.Steps[i]
		switch {
		case kiln.TraitsOf(component).Outside:
			s.Layer = LayerAlways
		case i < resumed:
			s.Layer = LayerHit
			s.Age = w.age(resumed, i)
		case resumed < 0 && len(remade) == 0:
			s.Layer = LayerNone
		default:
			s.Layer = LayerMiss
			switch {
			case len(remade) > 0:
				s.Reason = "the start state changes"
			case !missed:
				s.Reason = w.reason(i)
			default:
				s.Reason = "an earlier step runs"
				if own := w.change(i); own != "" {
					s.Reason = own
				}
			}
			missed = true
		}
		if path := firstFile(component); path != "" && local > 0 &&
			(s.Layer == LayerHit || s.Layer == LayerMiss) {
			s.Caveat = fmt.Sprintf("step %d runs on this machine first, and may change %s", local, path)
		}
		if kiln.TraitsOf(component).Outside {
			local = i + 1
		}
		if s.Layer != LayerHit {
			f.Runs++
		}
	}
}

// firstFile is the first file or folder that a component names; "": none that is known.
func firstFile(component any) string {
	for _, path := range schema.Files(component) {
		if path != "" && !strings.Contains(path, schema.Placeholder) {
			return path
		}
	}
	return ""
}

// postsOf is a hash of the post-processors: their settings and the files that they name.
// Empty where that cannot be known.
func (w *work) postsOf() string {
	parts := []string{"posts"}
	for i, chain := range w.job.Template.Chains {
		for _, p := range chain {
			component, _ := p.Decode(nil)
			in, err := w.Layers.Step(p.Type, component, w.b)
			if err != nil {
				return ""
			}
			parts = append(parts, fmt.Sprint(i, p.Name, p.Keep != nil, p.Keep != nil && *p.Keep))
			parts = append(parts, in.list()...)
		}
	}
	return w.Layers.Sum(parts...)
}

// age is how long ago step i ran, as the layer after n steps tells.
func (w *work) age(n, i int) string {
	r := w.Layers.Record(w.chain.keys[n])
	if r == nil || i >= len(r.Ran) {
		return ""
	}
	return ShowAge(time.Since(r.Ran[i]))
}
