package ssh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"kiln"
	"kiln/communicator"
)

// Connect waits until the machine's SSH server lets us in. A server that begins to
// listen is noticed within a fraction of a second.
func (c *Config) Connect(ctx context.Context, b *kiln.Build, t kiln.Target) (kiln.Communicator, error) {
	for _, secret := range append([]string{c.Password, c.BastionPassword, c.ProxyPassword}, t.Keys...) {
		b.Hide(secret)
	}
	if c.Host != "" {
		t.Host = func(context.Context) (string, error) { return c.Host, nil }
	}
	if t.Host == nil {
		return nil, c.Alone()
	}
	if t.Port == 0 {
		t.Port = c.Port
	}
	d := &dialer{cfg: c, b: b, target: t}
	waitCtx := ctx
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		waitCtx, cancel = context.WithTimeoutCause(ctx, c.Timeout, errTimeout)
		defer cancel()
	}
	if host, err := t.Host(waitCtx); err == nil {
		b.Say("Using SSH communicator to connect: %s", host)
	}
	b.Say("Waiting for SSH to become available...")
	d.ladder = communicator.Climb(b, t.Up)
	l, err := d.wait(waitCtx, d.dial)
	if err != nil {
		return nil, err
	}
	d.ladder = nil // a connection that is made again later is no news
	b.Say("Connected to SSH!")
	way := newClient(d, l)
	host, err := t.Host(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("address of the machine: %w", err), way.Close())
	}
	b.SetAccess(c.access(host, t))
	return way, nil
}

// access is what others may know of the connection.
func (c *Config) access(host string, t kiln.Target) kiln.Access {
	a := kiln.Access{
		Type: "ssh", Host: strings.Trim(host, "[]"), Port: t.Port, User: c.Username, Password: c.Password,
		PublicKey: t.Public, PrivateKeyFile: c.PrivateKeyFile, AgentAuth: c.AgentAuth,
	}
	if len(t.Keys) > 0 {
		a.PrivateKey = t.Keys[0]
	}
	return a
}

var errTimeout = errors.New("Timeout waiting for SSH.")

// Waits between tries are short at first, as a machine on the way up refuses at once,
// and never long. A server that answers and refuses the login gets more time: some close
// themselves for minutes to those who try more often.
const (
	firstWait  = 20 * time.Millisecond
	mostWait   = 120 * time.Millisecond
	firstLogin = time.Second
	mostLogin  = 6 * time.Second
	// loginTime is how long each refusal of the login is bridged. Templates say how many
	// tries they want, and count on that time: accounts and keys may appear only long
	// after the server.
	loginTime = 7 * time.Second
)

func (d *dialer) wait(ctx context.Context, dial func(context.Context) (*link, error)) (*link, error) {
	pause, login := firstWait, firstLogin
	refused, since := 0, time.Time{}
	var last error
	for {
		l, err := dial(ctx)
		if err == nil {
			return l, nil
		}
		if ctx.Err() != nil {
			return nil, d.ended(ctx, last)
		}
		last = err
		d.ladder.Failed(err)
		var final *permanentError
		if errors.As(err, &final) {
			return nil, err
		}
		wait := pause/2 + rand.N(pause)
		if isLogin(err) {
			if refused++; refused == 1 {
				since = time.Now()
			}
			most := d.cfg.HandshakeAttempts
			left := time.Duration(most-1)*loginTime - time.Since(since)
			if most > 0 && refused >= most && left <= 0 {
				return nil, fmt.Errorf("The build experienced an authentication error when trying to connect via SSH. "+
					"This can happen if your username/password are wrong. You may want to double-check your credentials as part of your debugging process. It stopped at: %s. original error: %w", d.ladder.Stopped(), err)
			}
			wait, login = login, min(2*login, mostLogin)
			if most > 0 && left > 0 {
				wait = min(wait, left) // and once more when the time is over
			}
		} else {
			pause = min(pause*3/2, mostWait)
		}
		if kiln.Sleep(ctx, wait) != nil {
			return nil, d.ended(ctx, last)
		}
	}
}

func isLogin(err error) bool { return strings.Contains(err.Error(), "unable to authenticate") }

// ended says why waiting ended, with what went wrong last.
func (d *dialer) ended(ctx context.Context, last error) error {
	err := context.Cause(ctx)
	switch rung := d.ladder.Stopped(); {
	case !errors.Is(err, errTimeout):
	case last != nil:
		return fmt.Errorf("%w It stopped at: %s. The last error was: %w", err, rung, last)
	case rung != "": // the first try has not come to an end
		return fmt.Errorf("%w It stopped at: %s", err, rung)
	}
	return err
}
