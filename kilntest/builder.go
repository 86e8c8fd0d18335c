package kilntest

import (
	"context"
	"errors"
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
// for every resource that the build owned: cancelled there, after which closing the
// build must leave nothing; and crashed there, after which reaping what the
// journal names must leave nothing.
func TestBuilder(t *testing.T, o BuilderOptions) {
	before := len(o.Left())
	_, clean := NewBuild(t)
	b := clean.Build(t)
	artifact, err := o.bake(t.Context(), b)
	if err != nil {
		t.Fatalf("a whole build: %v", err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range artifact.Resources {
		o.reap(t, r)
	}
	if open := clean.Balance(); len(open) != 0 {
		t.Errorf("a whole build leaves in the journal %v", open)
	}
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

// cancelled cancels a build as it owns its n-th resource.
func (o BuilderOptions) cancelled(t *testing.T, n, before int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, r := NewBuild(t)
	r.OnOwn = func(at int, _ kiln.Resource) error {
		if at == n {
			cancel()
		}
		return nil
	}
	b := r.Build(t)
	artifact, _ := o.bake(ctx, b)
	if err := b.Close(t.Context()); err != nil {
		t.Errorf("cancelled at %d: close: %v", n, err)
	}
	if artifact != nil {
		for _, res := range artifact.Resources {
			o.reap(t, res)
		}
	}
	if open, left := r.Balance(), o.Left(); len(open) != 0 || len(left) != before {
		t.Errorf("cancelled at %d: the journal has %v, there is %v", n, open, left)
	}
}

// crashed ends a build as it owns its n-th resource: just before the thing is made,
// and just before the next one is owned, when this one has been made.
func (o BuilderOptions) crashed(t *testing.T, n, before int) {
	t.Helper()
	for _, at := range []int{n, n + 1} {
		_, r := NewBuild(t)
		r.OnOwn = func(now int, _ kiln.Resource) error {
			if now == at {
				return errCrash
			}
			return nil
		}
		_, err := o.bake(t.Context(), r.Build(t))
		if err != nil && !errors.Is(err, errCrash) {
			t.Errorf("crashed at %d: %v", at, err)
		}
		open := r.Balance()
		for i := len(open) - 1; i >= 0; i-- {
			o.reap(t, open[i])
		}
		if err == nil {
			return // there is no such resource: the build was whole
		}
		if left := o.Left(); len(left) != before {
			t.Errorf("crashed at %d: after reaping %v there is %v", at, open, left)
		}
	}
}

func (o BuilderOptions) reap(t *testing.T, r kiln.Resource) {
	t.Helper()
	if r.Owner == "" {
		removeLocal(t, r)
		return
	}
	reaper, ok := o.New().(kiln.Reaper)
	if !ok {
		t.Fatalf("%s is owned, and the builder is no Reaper", r)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := reaper.Reap(ctx, r); err != nil {
		t.Errorf("reap %s: %v", r, err)
	}
}
