package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"kiln"
)

// Earlier is how the builds of an earlier run of a template ended.
type Earlier struct {
	Run    string
	Builds map[string]kiln.BuildOutcome // by name; empty: the build did not begin, or did not end
}

// Resume makes a plan one for the builds that an earlier run left undone: each goes on
// from the last layer that was kept of it, however old. Of those that did not begin, all
// is done. What succeeded is left alone, unless all is asked for: then it begins at its
// last layer too. Of the options, Layers, Dir and Reaper count. It returns what is to be said; an error names each build that
// cannot go on, and why.
func (p *Plan) Resume(
	ctx context.Context,
	last Earlier,
	all bool,
	o Options,
) (say []string, err error) {
	r := &resuming{
		Earlier: last, all: all, o: o,
		wanted: map[string]bool{}, begun: map[string]bool{},
	}
	var order []*Job // each after those that it needs
	q := newQueue(p)
	for job := q.next(); job != nil; job = q.next() {
		order = append(order, job)
		q.ended(job.Index)
	}
	begins := map[*Job]bool{}
	for _, job := range slices.Backward(order) {
		if begins[job], err = r.begins(ctx, job); err != nil {
			return nil, err
		}
	}
	var builds []*Job
	var errs []error
	for _, job := range order {
		if !begins[job] {
			r.leave(job)
			continue
		}
		builds = append(builds, job)
		r.begun[job.Template.Name] = true
		if err := r.resume(ctx, job); err != nil {
			errs = append(errs, fmt.Errorf("%s cannot be resumed: %w", job.Template.Name, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(builds) == 0 {
		return nil, fmt.Errorf("there is nothing to resume: no build of run %s was left undone", last.Run)
	}
	slices.SortFunc(builds, func(a, b *Job) int { return a.Index - b.Index })
	p.stands = map[string]bool{}
	for _, job := range p.Builds {
		p.stands[job.Template.Name] = true
	}
	for i, job := range builds {
		job.Index = i
		delete(p.stands, job.Template.Name)
	}
	p.Builds = builds
	return r.say, nil
}

// resuming goes through the builds of a plan.
type resuming struct {
	Earlier
	all    bool
	o      Options
	wanted map[string]bool // builds whose artifacts others need that begin
	begun  map[string]bool // builds that begin, once that is decided
	say    []string
}

func (r *resuming) tell(format string, args ...any) {
	r.say = append(r.say, fmt.Sprintf(format, args...))
}

func (r *resuming) work(job *Job) *work {
	return &work{runner: &runner{Options: r.o}, job: job}
}

// undone reports whether the run was to make a build, and did not.
func (r *resuming) undone(name string) bool {
	result, ok := r.Builds[name]
	return ok && result != kiln.OutcomeSuccess
}

// begins decides whether a build begins, when that is known of those that need it.
func (r *resuming) begins(ctx context.Context, job *Job) (bool, error) {
	name := job.Template.Name
	begins := r.undone(name) || r.all && !r.wanted[name]
	if !begins && r.wanted[name] {
		there, err := r.there(ctx, job)
		if err != nil {
			return false, fmt.Errorf("look for what %s made: %w", name, err)
		}
		begins = !there
	}
	if begins {
		for _, need := range job.Template.Needs {
			r.wanted[need] = true
		}
	}
	return begins, nil
}

// there reports whether the artifact of a build is known and stands.
func (r *resuming) there(ctx context.Context, job *Job) (bool, error) {
	w := r.work(job)
	last := r.o.Layers.recall(w)
	if last == nil || last.Artifact == nil {
		return false, nil
	}
	for _, part := range last.Artifact.Parts() {
		if is, err := w.thing(ctx, part); err != nil || !is {
			return false, err
		}
	}
	return true, nil
}

// leave leaves a build alone: others see what it made.
func (r *resuming) leave(job *Job) {
	t := job.Template
	if r.Builds[t.Name] == kiln.OutcomeSuccess {
		r.tell("%s succeeded in run %s: it is left alone", t.Name, r.Run)
	}
	if last := r.o.Layers.recall(r.work(job)); t.Publish != nil && last != nil && last.Artifact != nil {
		t.Publish(last.Artifact)
	}
}

// resume says where a build goes on.
func (r *resuming) resume(ctx context.Context, job *Job) error {
	t, w := job.Template, r.work(job)
	if !r.undone(t.Name) && r.wanted[t.Name] {
		r.tell("%s is made again: its artifact is needed, and is not known to be there", t.Name)
		return nil
	}
	came := r.o.Layers.cameTo(w)
	if came != nil && came.Run != r.Run {
		came = nil
	}
	switch result := r.Builds[t.Name]; {
	case !r.undone(t.Name):
		if came = new(progress); r.o.Layers.recall(w) != nil {
			came = r.o.Layers.recall(w).progress()
		}
	case result == "" && came == nil || slices.ContainsFunc(t.Needs, r.undone):
		r.tell("%s did not begin in run %s: all of it is done", t.Name, r.Run)
		return nil
	case came == nil:
		return fmt.Errorf("no layers were wanted in run %s (-no-cache, KILN_CACHE=off)", r.Run)
	}
	job.resumed = &resumption{progress: *came, last: r.Run, undone: r.undone(t.Name)}
	return w.resumable(ctx, !slices.ContainsFunc(t.Needs, func(name string) bool { return r.begun[name] }))
}
