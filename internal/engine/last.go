package engine

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"

	"kiln"
	"kiln/schema"
)

// rememberRun keeps for the next run what this one was made from.
func (w *work) rememberRun() {
	c := w.chain
	if c == nil || w.checkpointer == nil {
		return
	}
	// What the last run made is still what there is, until this one has made its own.
	m := new(memory)
	if last := w.Layers.recall(w); last != nil {
		*m = *last
	}
	m.Identity, m.Builder, m.Steps, m.Kept = c.identity, c.builder, c.inputs, c.kept
	w.Layers.remember(w, m)
}

// remade keeps with the memory of a run what it made: what the machine gave, what came of
// it, and what others see of that.
func (w *work) remade(ctx context.Context, out *kiln.Artifact, results []*kiln.Artifact) {
	last := w.Layers.recall(w)
	if last == nil {
		return
	}
	last.Artifact, last.Captured, last.Made = out.Public(), w.captured.Public(), w.made
	last.Posts, last.Stood = w.postsOf(), nil
	for _, a := range results {
		w.stood = append(w.stood, a.Parts()...)
	}
	for _, r := range w.stood {
		if slices.ContainsFunc(last.Stood, r.Same) {
			continue
		}
		if is, err := w.thing(ctx, r); is || err != nil { // else a post-processor has used it up
			last.Stood = append(last.Stood, r)
		}
	}
	w.Layers.remember(w, last)
}

// stands reports whether all is still there that the last run made: post-processors would
// make again what is not.
func (m *memory) stands(ctx context.Context, w *work) (bool, error) {
	for _, r := range m.Stood {
		is, err := w.thing(ctx, r)
		if err != nil || !is {
			return false, err
		}
	}
	return true, nil
}

// thing reports whether one thing is there that a run made, as it was made.
func (w *work) thing(ctx context.Context, r kiln.Resource) (bool, error) {
	if r.Owner == "" && r.Kind == kiln.KindFile {
		mark, err := kiln.Mark(r.ID)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil && (r.Mark == "" || r.Mark == mark), err
	}
	if r.Owner == "" && w.Reaper != nil {
		reaper, _ := w.Reaper(r.Owner)
		if finder, ok := reaper.(kiln.Finder); ok {
			return finder.Stands(ctx, r)
		}
	}
	for _, c := range w.job.Template.Components() {
		if component, _ := c.Decode(nil); c.Kind+"."+c.Type == r.Owner {
			if finder, ok := component.(kiln.Finder); ok {
				return finder.Stands(ctx, r)
			}
		}
	}
	return false, nil // nobody can tell
}

// again reports whether a build that captures the same as it did gives the same to those
// that stand on it: the captured artifact itself, or a name that it is given each time.
func (m *memory) again() bool {
	return m.Artifact != nil && m.Captured != nil &&
		(m.Artifact.ID == m.Captured.ID || slices.Contains(m.Artifact.Tags, m.Artifact.ID))
}

// last answers [kiln.Build.Last].
func (w *work) last(_ *kiln.Build, resumed int) *kiln.Artifact {
	made := w.madeOf()
	if made == "" || w.Debug || !w.keepsCaptured() {
		return nil
	}
	for _, p := range w.job.Template.Provisioners[resumed:] {
		if component, _ := p.Decode(nil); !kiln.TraitsOf(component).Outside {
			return nil
		}
	}
	last := w.Layers.recall(w)
	if last == nil || last.Made != made || last.Captured == nil {
		return nil
	}
	// It is this run's from now on: manifests tell by this which run gave it last.
	again := *last.Captured
	if again.Data = maps.Clone(again.Data); again.Data != nil {
		again.Data["PackerRunUUID"] = w.RunUUID
	}
	return &again
}

// madeOf stands for all that the captured artifact depends on: the state after the last
// step and all that the template says of the builder. It is "" where that is not known,
// or where somebody or something may work on the machine that no key tells of.
func (w *work) madeOf() string {
	c := w.chain
	steps := w.job.Template.Provisioners
	if c == nil || c.cut != "" || len(c.keys) != len(steps)+1 {
		return ""
	}
	for _, p := range steps {
		component, _ := p.Decode(nil)
		if t := kiln.TraitsOf(component); t.Outside && t.NoScript {
			return "" // it looks at the machine, or lets somebody do so
		}
	}
	if len(w.job.Template.Builder.Unknown()) > 0 {
		return ""
	}
	component, diags := w.job.Template.Builder.Decode(nil)
	if diags.HasErrors() {
		return ""
	}
	all, err := w.Layers.fields(w.job.Template.Builder.Type, component, func(*schema.Field) bool { return true })
	if err != nil {
		return ""
	}
	return w.Layers.Sum(append([]string{string(c.keys[len(steps)])}, all.list()...)...)
}

// keepsCaptured reports whether what the machine gives is kept whatever post-processors
// make of it. What is not would be destroyed, also where an earlier run made it.
func (w *work) keepsCaptured() bool {
	chains := w.job.Template.Chains
	for _, chain := range chains {
		if len(chain) == 0 {
			continue
		}
		component, _ := chain[0].Decode(nil)
		if keeps(chain[0], component, nil) {
			return true
		}
	}
	return len(chains) == 0
}
