package kilntest

import (
	"context"

	"kiln"
)

// A moment is something that a component does by which a suite may stop it.
type moment int

const (
	momentOwn   moment = iota // it is about to own a resource, which is not there yet
	momentOwned               // it owns the resource, and is about to make it
	momentCall                // it calls its communicator
	momentEvent               // it tells something
)

func (m moment) String() string { return [...]string{"own", "owned", "call", "event"}[m] }

// pass notes a moment and asks whoever wants to know of it.
func (r *Recorder) pass(m moment) error {
	r.mu.Lock()
	r.moments = append(r.moments, m)
	n, on := len(r.moments), r.onMoment
	r.mu.Unlock()
	if on == nil {
		return nil
	}
	return on(n, m)
}

// passed lists the moments so far.
func (r *Recorder) passed() []moment {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]moment(nil), r.moments...)
}

// observed is a communicator whose calls are moments.
type observed struct {
	kiln.Communicator
	r *Recorder
}

func (o *observed) Run(ctx context.Context, cmd *kiln.Cmd) error {
	if err := o.r.pass(momentCall); err != nil {
		return err
	}
	return o.Communicator.Run(ctx, cmd)
}

func (o *observed) Upload(ctx context.Context, up *kiln.Upload) error {
	if err := o.r.pass(momentCall); err != nil {
		return err
	}
	return o.Communicator.Upload(ctx, up)
}

func (o *observed) Download(ctx context.Context, down *kiln.Download) error {
	if err := o.r.pass(momentCall); err != nil {
		return err
	}
	return o.Communicator.Download(ctx, down)
}
