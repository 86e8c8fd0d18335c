package qemu

import (
	"context"
	"encoding/json"
	"time"

	"kiln"
)

// A Pace follows how far a guest gets, for who types at it: a keyboard takes a few keys
// more than the guest has read, loses what comes after them, and does not say so. On a
// machine with much to do a guest may stand still for longer than keys may be apart.
type Pace struct {
	m       *Machine
	threads []int // of the guest's processors
	before  map[int]time.Duration
}

// NewPace begins to follow a machine. It is used by one goroutine.
func NewPace(ctx context.Context, m *Machine) *Pace {
	p := &Pace{m: m, before: map[int]time.Duration{}}
	if m.Monitor == nil {
		return p
	}
	var all []struct {
		Thread int `json:"thread-id"`
	}
	// A monitor that does not know its processors leaves it at the time between keys.
	if out, err := m.Monitor.Execute(ctx, "query-cpus-fast", nil); err == nil && json.Unmarshal(out, &all) == nil {
		for _, one := range all {
			p.threads = append(p.threads, one.Thread)
		}
	}
	return p
}

// Given returns when the emulator has taken what it was sent before the call on any of its
// connections.
func (p *Pace) Given(ctx context.Context) error {
	if p.m.Monitor == nil {
		return nil
	}
	// It answers when it has looked at all that came before.
	if _, err := p.m.Monitor.Execute(ctx, "query-status", nil); err != nil {
		return err
	}
	for _, thread := range p.threads {
		ran, _, err := usage(thread)
		if err == nil {
			p.before[thread] = ran
		}
	}
	return nil
}

const (
	turn    = 3 * time.Millisecond // of a processor, in which a guest reads a key
	maxTurn = 5 * time.Second      // after that it is taken for one that does nothing at all
)

// Taken returns when each processor of the guest has had time, since the last Given, to
// read what it was given, or has nothing to do.
func (p *Pace) Taken(ctx context.Context) error {
	limit := time.Now().Add(maxTurn)
	for _, thread := range p.threads {
		before, known := p.before[thread]
		for known && time.Now().Before(limit) {
			ran, idle, err := usage(thread)
			if err != nil || idle || ran-before >= turn {
				break
			}
			if err := kiln.Sleep(ctx, time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}
