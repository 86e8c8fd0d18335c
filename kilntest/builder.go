package kilntest

import (
	"context"
	"errors"
	"fmt"
	"kiln/driver/local"
	"kiln/internal/journal"
	"testing"
	"time"

	"kiln"
)

// BuilderOptions says how a builder is tested.
type BuilderOptions struct {
	// New makes a configured builder.
	New func() kiln.Builder
	// Left lists what is there of the builder's making, of any run.
	Left func() []string
	// Provision is done between Connect and Capture; may be nil.
	Provision func(ctx context.Context, c kiln.Communicator) error
}

// errCrash ends a run as a crash does: nothing is cleaned up.
var errCrash = errors.New("crash")

// TestBuilder is the signature test of a builder. It runs a build, and then once
// for every resource that the build owned: cancelled there, after which ending the
// build must leave nothing; and crashed there, after which a clean-up by the journal,
// as another process does it, must leave nothing. Ledger, journal and clean-up are
// those of the program.
func TestBuilder(t *testing.T, o BuilderOptions) {
	before := len(o.Left())
	b, clean := NewBuild(t)
	artifact, err := o.bake(t.Context(), b)
	if err != nil {
		t.Fatalf("a whole build: %v", err)
	}
	if err := end(t, b, artifact); err != nil {
		t.Fatal(err)
	}
	if open := clean.Balance(); len(open) != 0 {
		t.Errorf("a whole build leaves in the journal %v", open)
	}
	destroy(t, artifact, o.reaper)
	if left := o.Left(); len(left) != before {
		t.Fatalf("a whole build leaves %v", left)
	}
	for n := 1; n <= clean.Owns(); n++ {
		o.cancelled(t, n, before)
		o.crashed(t, n, before)
	}
}

func (o BuilderOptions) bake(ctx context.Context, b *kiln.Build) (*kiln.Artifact, error) {
	machine, err := o.New().Start(ctx, b)
	if err != nil {
		return nil, err
	}
	c, err := machine.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if o.Provision != nil {
		if err := o.Provision(ctx, c); err != nil {
			return nil, err
		}
	}
	return machine.Capture(ctx)
}

// end ends a build as the engine does: what the artifact holds stays.
func end(t *testing.T, b *kiln.Build, artifact *kiln.Artifact) error {
	err := b.Close(t.Context())
	return errors.Join(err, b.Settle(t.Context(), artifact.Holds))
}

func (o BuilderOptions) reaper(owner string) (kiln.Reaper, bool) {
	return reapers(nil, func() any { return o.New() })(owner)
}

// cancelled cancels a build as it owns its n-th resource.
func (o BuilderOptions) cancelled(t *testing.T, n, before int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b, r := NewBuild(t)
	r.OnOwn = func(at int, _ kiln.Resource) error {
		if at == n {
			cancel()
		}
		return nil
	}
	artifact, err := o.bake(ctx, b)
	if err != nil {
		artifact = nil
	}
	if err := end(t, b, artifact); err != nil {
		t.Errorf("cancelled at %d: close: %v", n, err)
	}
	destroy(t, artifact, o.reaper)
	if open, left := r.Balance(), o.Left(); len(open) != 0 || len(left) != before {
		t.Errorf("cancelled at %d: the journal has %v, there is %v", n, open, left)
	}
}

// crashed ends a build as it owns its n-th resource: just before the thing is made,
// and just before the next one is owned, when this one has been made.
func (o BuilderOptions) crashed(t *testing.T, n, before int) {
	t.Helper()
	for _, at := range []int{n, n + 1} {
		b, r := NewBuild(t)
		r.OnOwn = func(now int, _ kiln.Resource) error {
			if now == at {
				return errCrash
			}
			return nil
		}
		artifact, err := o.bake(t.Context(), b)
		if err != nil && !errors.Is(err, errCrash) {
			t.Errorf("crashed at %d: %v", at, err)
		}
		open := r.Balance()
		r.clean(t, o.reaper)
		if left := o.Left(); len(left) != before {
			t.Errorf("crashed at %d: after reaping %v there is %v", at, open, left)
		}
		if err == nil {
			destroy(t, artifact, o.reaper)
			return // there is no such resource: the build was whole
		}
	}
}

// clean does what `kiln cleanup` does after a crash.
func (r *Recorder) clean(t *testing.T, reaper func(owner string) (kiln.Reaper, bool)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r.journal.Crash()
	cleaner := journal.Cleaner{Dir: r.dir, Reaper: func(_, _, owner string) (kiln.Reaper, error) {
		one, ok := reaper(owner)
		if !ok {
			return nil, fmt.Errorf("no component %q is a Reaper", owner)
		}
		return one, nil
	}}
	if err := cleaner.Clean(ctx, ""); err != nil {
		t.Errorf("clean up: %v", err)
	}
}

// reapers finds who destroys the resources of an owner: this machine, somebody that the
// test names, or the component itself.
func reapers(
	named func(owner string) (kiln.Reaper, bool), component func() any,
) func(owner string) (kiln.Reaper, bool) {
	return func(owner string) (kiln.Reaper, bool) {
		if owner == "" {
			return local.Reaper{}, true
		}
		if named != nil {
			if reaper, ok := named(owner); ok {
				return reaper, true
			}
		}
		reaper, ok := component().(kiln.Reaper)
		return reaper, ok
	}
}

// destroy destroys an artifact, as a user does who has no more use for it.
func destroy(t *testing.T, artifact *kiln.Artifact, reapers func(owner string) (kiln.Reaper, bool)) {
	t.Helper()
	if artifact == nil {
		return
	}
	for _, r := range artifact.Parts() {
		reaper, ok := reapers(r.Owner)
		if !ok {
			t.Fatalf("%s is owned, and nobody destroys it", r)
		}
		if err := reaper.Reap(t.Context(), r); err != nil {
			t.Errorf("destroy %s: %v", r, err)
		}
	}
}
