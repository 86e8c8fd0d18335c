package kilntest

import (
	"context"
	"errors"
	"testing"
	"time"

	"kiln"
)

// ProvisionerOptions says how a provisioner is tested. The suite makes a folder and works
// in it; temporary files go below it too.
type ProvisionerOptions struct {
	// New makes a configured provisioner, which has something to do and succeeds.
	New func() kiln.Provisioner
	// Slow makes one that takes longer than a test may; nil: there is none.
	Slow func() kiln.Provisioner
	// Guest is the machine; nil: this one.
	Guest kiln.Communicator
	// Left lists what is there of the provisioner's making outside the folder; may be nil.
	Left func() []string
	// Stays are patterns of files in the folder that may stay.
	Stays []string
	// Reaper finds who destroys what a component owns, beside this machine's files and
	// processes and what the provisioner itself destroys; may be nil.
	Reaper func(owner string) (kiln.Reaper, bool)
}

// TestProvisioner is the suite that every provisioner passes. It looks at what the
// configuration does before anything runs; then it runs the provisioner, and once more
// for each moment of that run (an event, a call of the communicator, before and after an
// Own), cancelled there, and crashed there and cleaned up by the journal. The ledger, the
// journal and the clean-up are those of the program.
func TestProvisioner(t *testing.T, o ProvisionerOptions) {
	s := subject{
		new: func() any { return o.New() }, left: o.Left, stays: o.Stays,
		reaper: reapers(o.Reaper, func() any { return o.New() }),
		run: func(ctx context.Context, b *kiln.Build, r *Recorder, component any) (*kiln.Artifact, error) {
			guest := o.Guest
			if guest == nil {
				guest = &Local{}
			}
			return nil, component.(kiln.Provisioner).Provision(ctx, b, &observed{guest, r})
		},
	}
	s.enter(t)
	s.test(t)
	if o.Slow != nil {
		s.new = func() any { return o.Slow() }
		s.slow(t)
	}
}

// slow cancels a component that is in the middle of something long.
func (s *subject) slow(t *testing.T) {
	t.Helper()
	was := s.left()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b, r := NewBuild(t)
	r.Ask = silent
	ended := make(chan error, 1)
	go func() {
		_, err := s.run(ctx, b, r, s.new())
		ended <- err
	}()
	select {
	case err := <-ended:
		t.Fatalf("the slow one ended by itself: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	begin := time.Now()
	cancel()
	err := <-ended
	if took := time.Since(begin); took > patience || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled in the middle of something long: ended after %s with %v", took, err)
	}
	s.end(t, "cancelled in the middle of something long", b, r, nil, err, was)
}
