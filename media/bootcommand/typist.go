package bootcommand

import (
	"context"
	"fmt"
	"time"

	"kiln"
)

// A Typist types on the keyboard of a machine.
type Typist interface {
	// Type types one action that is no wait. It may keep it back.
	Type(ctx context.Context, a Action) error
	// Flush types what was kept back.
	Flush(ctx context.Context) error
}

// OverVNC is a typist that tells each event to a VNC server by key, and waits after each
// so long as the guest needs to take it: a keyboard has no way to say that it is full.
func OverVNC(key func(ctx context.Context, keysym uint32, down bool) error, interval time.Duration) Typist {
	return &vncTypist{key, interval}
}

type vncTypist struct {
	key      func(ctx context.Context, keysym uint32, down bool) error
	interval time.Duration
}

func (t *vncTypist) Type(ctx context.Context, a Action) error {
	for _, e := range KeyEvents(a) {
		if err := t.key(ctx, e.Keysym, e.Down); err != nil {
			return err
		}
		if err := kiln.Sleep(ctx, t.interval); err != nil {
			return err
		}
	}
	return nil
}

func (t *vncTypist) Flush(context.Context) error { return nil }

// groupSize is how many codes are sent at once.
const groupSize = 25

// ByScanCodes is a typist that collects scan codes and sends them in groups, each code as
// two hexadecimal digits, and waits after each group. No key is split between two groups.
func ByScanCodes(send func(ctx context.Context, codes []string) error, interval time.Duration) Typist {
	return &scanTypist{send: send, interval: interval}
}

type scanTypist struct {
	send     func(ctx context.Context, codes []string) error
	interval time.Duration
	group    []string
}

func (t *scanTypist) Type(ctx context.Context, a Action) error {
	codes := ScanCodes(a)
	if len(t.group)+len(codes) > groupSize {
		if err := t.Flush(ctx); err != nil {
			return err
		}
	}
	for _, c := range codes {
		t.group = append(t.group, fmt.Sprintf("%02x", c))
	}
	return nil
}

func (t *scanTypist) Flush(ctx context.Context) error {
	if len(t.group) == 0 {
		return nil
	}
	group := t.group
	t.group = nil
	if err := t.send(ctx, group); err != nil {
		return err
	}
	return kiln.Sleep(ctx, t.interval)
}

// play types actions and lets the waits among them pass.
func play(ctx context.Context, t Typist, actions []Action) error {
	for _, a := range actions {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if a.Kind != Wait {
			if err := t.Type(ctx, a); err != nil {
				return err
			}
			continue
		}
		if err := t.Flush(ctx); err != nil {
			return err
		}
		if err := kiln.Sleep(ctx, a.For); err != nil {
			return err
		}
	}
	return t.Flush(ctx)
}
