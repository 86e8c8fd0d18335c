package kilntest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"kiln"
)

// BooterOptions says how a builder is tested that starts machines from artifacts.
type BooterOptions struct {
	// New makes a configured builder.
	New func() kiln.Builder
	// Artifact is one that there is. Gone is one of its kind that there is not any more.
	Artifact, Gone *kiln.Artifact
	// State describes the artifact in the outside world, by its content.
	State func() string
	// Left lists what is there of the builder's making, of any run.
	Left func() []string
	// Once: a machine takes long to start. Only that one is crashed whose last thing is owned.
	Once bool
}

// TestBooter is the test of a [kiln.Booter]: machines start from an artifact, one beside the
// other, do not see what another wrote, leave the artifact as it was, and leave nothing,
// also where they are crashed.
func TestBooter(t *testing.T, o BooterOptions) {
	before, state := len(o.Left()), o.State()
	owned := o.whole(t)
	check := func(when string) {
		t.Helper()
		if left := o.Left(); len(left) != before {
			t.Errorf("%s: there is %v", when, left)
		}
		if now := o.State(); now != state {
			t.Errorf("%s: the artifact is %s, and was %s", when, now, state)
		}
	}
	check("a whole life")
	b, r := NewBuild(t)
	if _, err := o.boot(t.Context(), b, o.Gone); !errors.Is(err, kiln.ErrNotFound) {
		t.Errorf("an artifact that is gone: %v, want ErrNotFound", err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if open := r.Balance(); len(open) != 0 {
		t.Errorf("an artifact that is gone: the journal has %v", open)
	}
	check("an artifact that is gone")
	first := 1
	if o.Once {
		first = owned
	}
	for n := first; n <= owned; n++ {
		o.crashed(t, n)
		check("crashed")
	}
}

func (o BooterOptions) boot(ctx context.Context, b *kiln.Build, from *kiln.Artifact) (kiln.Booted, error) {
	booter, ok := o.New().(kiln.Booter)
	if !ok {
		return nil, errors.New("the builder is no kiln.Booter")
	}
	return booter.BootFrom(ctx, b, from)
}

// whole starts a machine, writes in it, and starts a second one, which must not see that. It
// returns how many resources the first one owned.
func (o BooterOptions) whole(t *testing.T) int {
	t.Helper()
	const file = "/kiln-was-here"
	var owned int
	for i, command := range []string{"! test -e " + file + " && echo new >" + file, "! test -e " + file} {
		b, r := NewBuild(t)
		m, err := o.boot(t.Context(), b, o.Artifact)
		if err != nil {
			t.Fatalf("machine %d: %v", i, err)
		}
		c, err := m.Connect(t.Context())
		if err != nil {
			t.Fatalf("connect to machine %d: %v", i, err)
		}
		if _, errs, err := Output(t.Context(), c, command); err != nil {
			t.Errorf("machine %d: %v: %s", i, err, strings.TrimSpace(errs))
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		owned = r.Owns()
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if open := r.Balance(); len(open) != 0 {
			t.Errorf("machine %d leaves in the journal %v", i, open)
		}
	}
	return owned
}

// crashed ends a run as it owns its n-th resource, and cleans up as another process does.
func (o BooterOptions) crashed(t *testing.T, n int) {
	t.Helper()
	b, r := NewBuild(t)
	r.OnOwn = func(now int, _ kiln.Resource) error {
		if now == n {
			return errCrash
		}
		return nil
	}
	if _, err := o.boot(t.Context(), b, o.Artifact); err != nil && !errors.Is(err, errCrash) {
		t.Errorf("crashed at %d: %v", n, err)
	}
	r.clean(t, reapers(nil, func() any { return o.New() }))
}
