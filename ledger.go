package kiln

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Journal keeps what builds own on disk, so that another process can clean up after
// a crash.
type Journal interface {
	// Own returns when the record is safe.
	Own(build string, r Resource) error
	// Gone strikes off what was destroyed, or never made.
	Gone(build string, r Resource) error
	// Release strikes off what belongs to an artifact now, all of it in one write:
	// after a crash either all of it is released or nothing.
	Release(build string, all ...Resource) error
}

// A ledger is what one build owns, in the order in which it came to own it. An entry
// goes through these states:
//
//	owned     about to be made, or made; destroyed when the build is closed
//	released  part of an artifact; decided about when the build is settled
//	gone      destroyed, or kept for good; no entry any more
//
// The journal names an entry in both of the first states: until its end even a
// finished image would be lost to a crash, as nobody knows of it yet.
type ledger struct {
	build   string
	journal Journal // nil: nothing is written down

	mu      sync.Mutex
	entries []*entry
	given   []Resource // all that was released, also what was there before, as far as it is not kept
}

type entry struct {
	Resource
	destroy  func(context.Context) error
	released bool
}

func (l *ledger) own(r Resource, destroy func(context.Context) error) error {
	if l.journal != nil {
		if err := l.journal.Own(l.build, r); err != nil {
			return fmt.Errorf("journal %s: %w", r, err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, &entry{Resource: r, destroy: destroy})
	return nil
}

// find is the newest entry of a resource; nil: there is none.
func (l *ledger) find(r Resource) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range slices.Backward(l.entries) {
		if e.Same(r) {
			return e
		}
	}
	return nil
}

func (l *ledger) drop(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = slices.DeleteFunc(l.entries, func(o *entry) bool { return o == e })
}

// pick takes the entries in one state, newest first. They stay in the ledger.
func (l *ledger) pick(released bool) []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []*entry
	for _, e := range slices.Backward(l.entries) {
		if e.released == released {
			found = append(found, e)
		}
	}
	return found
}

// forget strikes an entry off the ledger and the journal.
func (l *ledger) forget(e *entry) error {
	l.drop(e)
	if l.journal == nil {
		return nil
	}
	return l.journal.Gone(l.build, e.Resource)
}

// destroy destroys an entry. One that cannot be destroyed stays in the journal
// alone: the build has tried, another process is to try again.
func (l *ledger) destroy(ctx context.Context, e *entry) error {
	if err := e.destroy(ctx); err != nil && !errors.Is(err, ErrReplaced) {
		l.drop(e)
		return &UndestroyedError{e.Resource, err}
	}
	return l.forget(e)
}

func (l *ledger) destroyAll(ctx context.Context, all []*entry) error {
	var errs []error
	for _, e := range all {
		errs = append(errs, l.destroy(ctx, e))
	}
	return errors.Join(errs...)
}

// keep strikes off those released entries that stay for good, in one write.
func (l *ledger) keep(stays func(Resource) bool) error {
	var kept []Resource
	var entries []*entry
	for _, e := range l.pick(true) {
		if stays(e.Resource) {
			kept, entries = append(kept, e.Resource), append(entries, e)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	if l.journal != nil {
		if err := l.journal.Release(l.build, kept...); err != nil {
			return err
		}
	}
	for _, e := range entries {
		l.drop(e)
	}
	return nil
}

// Own records that the build is about to make r, and how to destroy it again.
// It is called before the thing is made; destroying what was never made must
// succeed. An error means that nothing may be made.
func (b *Build) Own(r Resource, destroy func(context.Context) error) error {
	return b.state.ledger.own(r, destroy)
}

// Owns reports whether r is owned or released by this build.
func (b *Build) Owns(r Resource) bool { return b.state.ledger.find(r) != nil }

// Release gives r to an artifact: closing the build does not destroy it. What is not
// owned is left alone.
func (b *Build) Release(r Resource) error {
	l := &b.state.ledger
	e := l.find(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.given = append(slices.DeleteFunc(l.given, r.Same), r)
	if e != nil {
		e.released = true
	}
	return nil
}

// Given lists what was released and is not kept yet, also what replaced a thing that the
// build does not own.
func (b *Build) Given() []Resource {
	l := &b.state.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.given)
}

// Forget strikes r off without destroying it: it was not made, or what it stood for
// has become another resource, which is owned by now.
func (b *Build) Forget(r Resource) error {
	if e := b.state.ledger.find(r); e != nil {
		return b.state.ledger.forget(e)
	}
	return nil
}

// Destroy destroys one resource now, owned or released, instead of when the build
// ends. What is neither is left alone.
func (b *Build) Destroy(ctx context.Context, r Resource) error {
	if e := b.state.ledger.find(r); e != nil {
		return b.state.ledger.destroy(ctx, e)
	}
	return nil
}

// Close destroys what is owned and not released, newest first. All of it is tried;
// the errors are joined, each an *UndestroyedError. The caller gives it a context
// that a cancelled build does not cancel.
func (b *Build) Close(ctx context.Context) error {
	return b.state.ledger.destroyAll(ctx, b.state.ledger.pick(false))
}

// Keep ends the build's concern with those released resources that stay for good.
// All of them are struck off the journal in one write.
func (b *Build) Keep(stays func(Resource) bool) error {
	l := &b.state.ledger
	l.mu.Lock()
	l.given = slices.DeleteFunc(l.given, stays)
	l.mu.Unlock()
	return l.keep(stays)
}

// Settle decides about everything that was released: what stays is kept, the rest is
// destroyed, newest first.
func (b *Build) Settle(ctx context.Context, stays func(Resource) bool) error {
	err := b.Keep(stays)
	return errors.Join(err, b.state.ledger.destroyAll(ctx, b.state.ledger.pick(true)))
}

// Owned lists what the build owns or has released, oldest first.
func (b *Build) Owned() []Resource {
	l := &b.state.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Resource
	for _, e := range l.entries {
		all = append(all, e.Resource)
	}
	return all
}
