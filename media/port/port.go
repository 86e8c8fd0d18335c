// Package port finds a free TCP port of this machine among those that a template allows.
package port

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
	"time"

	"kiln"
)

// Max is the highest port there is.
const Max = 65535

// Range is the ports that may be taken, and how they are named in messages.
type Range struct {
	Low, High int
	Address   string // of this machine; "": all of them
	For       string // who wants one, such as "the HTTP server"
	Fields    string // of the template, such as "http_port_min and http_port_max"
	// Wait is how long to wait where all are taken; 0: not at all.
	Wait time.Duration
	// WaitHeld is the same where one of them is [ErrHeld].
	WaitHeld time.Duration
}

// ErrHeld is a port that another build has, which will give it back.
var ErrHeld = errors.New("another build has it")

// winInUse is what Windows says of a port that is taken.
const winInUse = syscall.Errno(10048)

// Busy reports whether an error says that a port is taken.
func Busy(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, winInUse) || errors.Is(err, ErrHeld)
}

// String is the range as messages name it.
func (r Range) String() string {
	if r.Address == "" {
		return fmt.Sprintf("%d to %d", r.Low, r.High)
	}
	return fmt.Sprintf("%d to %d on %s", r.Low, r.High, r.Address)
}

// Take calls try with one port after the other, from start on, until it succeeds, and
// with all of them again where they are taken and may become free. An error of try that is
// not [Busy] ends it: it is of the address, and no port is better.
func (r Range) Take(ctx context.Context, b *kiln.Build, start int, try func(port int) error) error {
	begin := time.Now()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		held, err := r.round(ctx, start, try)
		if err == nil || !Busy(err) {
			return err
		}
		taken := fmt.Sprintf("all ports from %s are taken", r)
		limit := r.Wait
		if held {
			limit = max(limit, r.WaitHeld)
		}
		left := limit - time.Since(begin)
		switch {
		case limit == 0:
			return fmt.Errorf("%s: give more of them by %s", taken, r.Fields)
		case left <= 0:
			return fmt.Errorf("%s, and none became free in %s: give more of them by %s", taken, limit, r.Fields)
		case pause == 20*time.Millisecond:
			b.Say("Waiting for a port for %s: %s", r.For, taken)
		}
		if err := kiln.Sleep(ctx, min(pause, left)); err != nil {
			return err
		}
	}
}

// round tries each port once. Its error is that of a port that is taken, if one is; held
// says that another build has one of them.
func (r Range) round(ctx context.Context, start int, try func(port int) error) (held bool, last error) {
	for port := range r.from(start) {
		err := try(port)
		switch {
		case err == nil:
			return false, nil
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		case Busy(err):
			last = err
			held = held || errors.Is(err, ErrHeld)
		case errors.Is(err, syscall.EACCES): // it is kept for the system; others may not be
			if !Busy(last) {
				last = err
			}
		default:
			return false, err
		}
	}
	return held, last
}

// from is the order in which ports are tried: from the one that start says, whatever
// number that is, up and round. The last is High, which Packer takes only where there is
// no other.
func (r Range) from(start int) iter.Seq[int] {
	return func(yield func(int) bool) {
		count := r.High - r.Low
		for i := range count {
			if !yield(r.Low + (start%count+count+i)%count) {
				return
			}
		}
		yield(r.High)
	}
}

// Random is a start for [Range.Take], so that those who search at one time do not meet.
func Random() int { return rand.IntN(Max) }

// Listen listens on a port of an address.
func Listen(ctx context.Context, network, address string, port int) (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(ctx, network, net.JoinHostPort(address, strconv.Itoa(port)))
}
