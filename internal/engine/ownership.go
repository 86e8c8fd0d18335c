package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"kiln"
)

// settle decides about everything that the build still owns or has released: layers
// stay whatever became of the build, and so do artifacts that are kept. The rest stays
// with a build that succeeded and is destroyed with one that failed.
func (w *work) settle(ok bool, kept []*kiln.Artifact) error {
	ctx, cancel := w.closing()
	defer cancel()
	clean := w.cleans()
	if clean || ok {
		// What post-processors own and did not release goes now.
		w.report(w.b.Close(ctx))
	}
	if ok {
		w.stood = w.b.Given()
	}
	stays := func(r kiln.Resource) bool {
		return ok || r.Kind == kiln.KindLayer ||
			slices.ContainsFunc(kept, func(a *kiln.Artifact) bool { return a.Holds(r) || within(a, r) })
	}
	if !clean && !ok {
		// Nothing is destroyed: what belongs to no artifact stays in the journal.
		for _, r := range w.b.Owned() {
			if !stays(r) {
				w.left = append(w.left, r)
			}
		}
		return w.b.Keep(stays)
	}
	err := w.b.Settle(ctx, stays)
	if left := kiln.Undestroyed(err); len(left) > 0 {
		w.report(err)
		return nil
	}
	return err
}

// report shows what could not be destroyed and remembers it for the summary.
func (w *work) report(err error) {
	if err == nil {
		return
	}
	w.left = append(w.left, kiln.Undestroyed(err)...)
	w.b.Error("clean up: %s", named(w.Hard, err))
}

// discard destroys an artifact, but nothing of it that another one holds too.
func (w *work) discard(a *kiln.Artifact, others ...*kiln.Artifact) error {
	ctx, cancel := w.closing()
	defer cancel()
	var errs []error
	for _, r := range a.Parts() {
		if !slices.ContainsFunc(others, func(o *kiln.Artifact) bool {
			return o != a && (o.Holds(r) || within(o, r))
		}) {
			errs = append(errs, w.destroy(ctx, r))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("destroy artifact %s: %w", a.ID, err)
	}
	return nil
}

// within reports whether a part of an artifact lies in a folder: then the folder stays, and
// what else is in it goes file by file.
func within(a *kiln.Artifact, folder kiln.Resource) bool {
	return a != nil && folder.Owner == "" && folder.Kind == kiln.KindFolder &&
		slices.ContainsFunc(a.Parts(), func(r kiln.Resource) bool {
			return r.Owner == "" && strings.HasPrefix(r.ID, folder.ID+string(filepath.Separator))
		})
}

// reaper finds who destroys the resources of an owner: the component of this build as
// it is configured, with its credentials, or else one that has no configuration.
func (w *work) reaper(owner string) (kiln.Reaper, bool) {
	for _, c := range w.job.Template.Components() {
		if c.Kind+"."+c.Type != owner {
			continue
		}
		component, diags := c.Decode(w.b.Data())
		if reaper, ok := component.(kiln.Reaper); ok && !diags.HasErrors() {
			return reaper, true
		}
	}
	return w.Reaper(owner)
}

// destroy destroys a part of an artifact: as the component that made it said, or by
// the reaper of its kind where this build did not make it.
func (w *work) destroy(ctx context.Context, r kiln.Resource) error {
	if w.b.Owns(r) {
		return w.b.Destroy(ctx, r)
	}
	reaper, ok := w.reaper(r.Owner)
	if !ok {
		return fmt.Errorf("no component %q destroys %s", r.Owner, r)
	}
	if err := reaper.Reap(ctx, r); err != nil && !errors.Is(err, kiln.ErrReplaced) {
		return &kiln.UndestroyedError{Resource: r, Err: err}
	}
	return nil
}
