package qemu

import (
	"context"
	"errors"
	"sync"

	"kiln"
)

// later is the way into a machine that is started when something has to run in it: its layer
// holds what every step would do.
type later struct {
	m     *machine
	guest kiln.Guest
	mu    sync.Mutex
	way   kiln.Communicator
	err   error
}

func (m *machine) later() kiln.Communicator {
	l := &later{m: m}
	if m.chain.on != nil {
		l.guest = m.chain.on.Guest
	}
	m.way = l
	return l
}

// errUnchanged is that something was to run in a machine of which nothing changed.
var errUnchanged = errors.New("the machine was not started, as nothing changed since the last build: " +
	"-no-cache starts it")

func (l *later) open(ctx context.Context) (kiln.Communicator, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.way != nil || l.err != nil {
		return l.way, l.err
	}
	if l.m.last != nil {
		return nil, errUnchanged
	}
	if l.err = l.m.bringUp(ctx); l.err == nil {
		l.way, l.err = l.m.enter(ctx)
	}
	return l.way, l.err
}

// Run starts the machine first.
func (l *later) Run(ctx context.Context, cmd *kiln.Cmd) error {
	way, err := l.open(ctx)
	if err != nil {
		return &kiln.StartError{Err: err, Final: true}
	}
	return way.Run(ctx, cmd)
}

// Upload starts the machine first.
func (l *later) Upload(ctx context.Context, up *kiln.Upload) error {
	way, err := l.open(ctx)
	if err != nil {
		return err
	}
	return way.Upload(ctx, up)
}

// Download starts the machine first.
func (l *later) Download(ctx context.Context, down *kiln.Download) error {
	way, err := l.open(ctx)
	if err != nil {
		return err
	}
	return way.Download(ctx, down)
}

// Guest is what the way in led to when the layer was kept.
func (l *later) Guest() kiln.Guest { return l.guest }

// Close ends the connection, if there is one.
func (l *later) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.way == nil {
		return nil
	}
	return l.way.Close()
}
