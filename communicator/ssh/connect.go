package ssh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"kiln"
)

// Target is the machine to connect to. Its address may not be known before it
// runs, so it is asked for at each try.
type Target struct {
	Host func(ctx context.Context) (string, error)
	Port func(ctx context.Context) (int, error)
	Keys []string // private keys that the builder gave the machine, PEM
}

// Connect waits until the machine's SSH server lets us in. A server that begins to
// listen is noticed within a fraction of a second.
func Connect(ctx context.Context, b *kiln.Build, cfg *Config, target Target) (kiln.Communicator, error) {
	for _, secret := range append([]string{cfg.Password, cfg.BastionPassword, cfg.ProxyPassword}, target.Keys...) {
		b.Hide(secret)
	}
	d := &dialer{cfg: cfg, b: b, target: target}
	if cfg.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, cfg.Timeout, errTimeout)
		defer cancel()
	}
	if host, err := target.Host(ctx); err == nil {
		b.Say("Using SSH communicator to connect: %s", host)
	}
	b.Say("Waiting for SSH to become available...")
	l, err := d.wait(ctx)
	if err != nil {
		return nil, err
	}
	b.Say("Connected to SSH!")
	return newClient(d, l), nil
}

var errTimeout = errors.New("Timeout waiting for SSH.")

// Waits between tries: short at first, as a machine on the way up refuses at once,
// and never long. A server that answers and refuses the login gets more time.
const (
	firstWait = 20 * time.Millisecond
	mostWait  = 120 * time.Millisecond
	loginWait = 2 * time.Second
)

func (d *dialer) wait(ctx context.Context) (*link, error) {
	pause, refused := firstWait, 0
	var last error
	for {
		l, err := d.dial(ctx)
		if err == nil {
			return l, nil
		}
		if ctx.Err() != nil {
			return nil, d.ended(ctx, last)
		}
		last = err
		var final *finalError
		if errors.As(err, &final) {
			return nil, err
		}
		wait := pause/2 + rand.N(pause)
		if isLogin(err) {
			if refused++; d.cfg.HandshakeAttempts > 0 && refused >= d.cfg.HandshakeAttempts {
				return nil, fmt.Errorf("Kiln experienced an authentication error when trying to connect via SSH. This can happen if your username/password are wrong. "+
					"You may want to double-check your credentials as part of your debugging process. original error: %w", err)
			}
			// Accounts and keys appear while a machine starts.
			wait = min(loginWait, time.Duration(refused)*200*time.Millisecond)
		} else {
			pause = min(pause*3/2, mostWait)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, d.ended(ctx, last)
		case <-timer.C:
		}
	}
}

func isLogin(err error) bool { return strings.Contains(err.Error(), "unable to authenticate") }

// ended says why waiting ended, with what went wrong last.
func (d *dialer) ended(ctx context.Context, last error) error {
	err := context.Cause(ctx)
	if errors.Is(err, errTimeout) && last != nil {
		return fmt.Errorf("%w The last error was: %w", err, last)
	}
	return err
}
