package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kiln"
	"kiln/internal/template"
)

// provisioned starts the machine and runs every provisioner on it that a kept
// layer does not stand for.
func (w *work) provisioned(ctx context.Context, builder kiln.Builder) (kiln.Machine, error) {
	for {
		machine, err := w.started(ctx, builder)
		if err != nil {
			return nil, err
		}
		var stale bool
		err = w.attempt(ctx, "provision", "StepProvision", func() (err error) {
			stale, err = w.provision(ctx, machine)
			return err
		})
		if !stale || err != nil {
			return machine, err
		}
		// A local step changed what a kept layer was made from.
		w.b.Say("A local step changed the inputs of later steps: starting again from an earlier layer...")
		w.disconnect()
		closeCtx, cancel := w.closing()
		err = w.b.Close(closeCtx)
		cancel()
		if err != nil {
			return nil, err
		}
	}
}

// started starts the machine and connects to it.
func (w *work) started(ctx context.Context, builder kiln.Builder) (machine kiln.Machine, err error) {
	err = w.attempt(ctx, "start", "StepStart", func() (err error) {
		machine, err = builder.Start(ctx, w.b)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = w.attempt(ctx, "connect", "StepConnect", func() (err error) {
		w.c, err = machine.Connect(ctx)
		return err
	})
	return machine, err
}

// provision runs the provisioners in order. Stale means that the machine was
// started from a layer which turned out to be out of date.
func (w *work) provision(ctx context.Context, machine kiln.Machine) (stale bool, err error) {
	checkpointer, _ := machine.(kiln.Checkpointer)
	resumed := 0
	if checkpointer != nil {
		resumed = checkpointer.Resumed()
	}
	missed := false
	for i, p := range w.job.Template.Provisioners {
		component, diags := p.Decode(w.b.Data())
		if err := diagError(diags); err != nil {
			return false, err
		}
		provisioner, ok := component.(kiln.Provisioner)
		if !ok {
			return false, fmt.Errorf("%s is no provisioner", p.Type)
		}
		isVolatile := volatile(component)
		b := w.b.For("provisioner."+p.Type, i+1)
		if i < resumed && !isVolatile {
			b.Emit(kiln.Event{Kind: kiln.EventLayer, Text: "hit", Data: []string{title(p)}})
			continue
		}
		if w.done[i] {
			continue
		}
		if w.keys != nil && checkpointer != nil && !missed && !isVolatile {
			missed = true
			b.Emit(kiln.Event{Kind: kiln.EventLayer, Text: w.Layers.reason(w, i), Data: []string{title(p)}})
		}
		if err := w.step(ctx, b, p, provisioner); err != nil {
			return false, err
		}
		if isVolatile {
			w.done[i] = true
			if w.changedAfter(i, resumed) {
				return true, nil
			}
			continue
		}
		if checkpointer != nil && i+1 < len(w.keys) {
			if err := checkpointer.Checkpoint(ctx, w.keys[i+1]); err != nil {
				return false, fmt.Errorf("keep layer after step %d: %w", i+1, err)
			}
			w.Layers.kept.Store(true)
		}
	}
	if checkpointer != nil && w.keys != nil {
		w.Layers.remember(w)
	}
	return false, nil
}

// step runs one provisioner with what the template says around it.
func (w *work) step(ctx context.Context, b *kiln.Build, p *template.Provisioner, component kiln.Provisioner) error {
	if w.Debug {
		if err := w.pause(ctx, "before the next provisioner "); err != nil {
			return err
		}
	}
	begin := time.Now()
	b.Emit(kiln.Event{Kind: kiln.EventStepStart, Text: title(p), Total: int64(len(w.job.Template.Provisioners))})
	err := wrap(p, component).Provision(ctx, b, w.c)
	end := kiln.Event{Kind: kiln.EventStepEnd, Text: title(p), Seconds: time.Since(begin).Seconds()}
	if err != nil {
		end.Error = err.Error()
	}
	b.Emit(end)
	if err != nil && p.ContinueOnError && ctx.Err() == nil {
		b.Warn("Warning: Provisioner failed with %q, but continue_on_error is set; continuing the build.", err.Error())
		return nil
	}
	return err
}

// cleanupProvisioner runs the error-cleanup-provisioner after a failure. Its own
// failure takes the place of the error.
func (w *work) cleanupProvisioner(ctx context.Context, failure error) error {
	p := w.job.Template.Cleanup
	if ctx.Err() != nil || w.OnError == "abort" {
		return failure
	}
	w.b.Say("Provisioning step had errors: Running the cleanup provisioner, if present...")
	if p == nil {
		return failure
	}
	component, diags := p.Decode(w.b.Data())
	err := diagError(diags)
	if err == nil {
		provisioner, ok := component.(kiln.Provisioner)
		if !ok {
			return fmt.Errorf("%s is no provisioner", p.Type)
		}
		err = w.step(ctx, w.b.For("error-cleanup-provisioner."+p.Type, len(w.job.Template.Provisioners)+1), p, provisioner)
	}
	if err != nil {
		return fmt.Errorf("Cleanup failed: %w. Original Provisioning error: %w", err, failure)
	}
	return failure
}

// provisionFunc is a provisioner made of a function.
type provisionFunc func(ctx context.Context, b *kiln.Build, c kiln.Communicator) error

func (f provisionFunc) Provision(ctx context.Context, b *kiln.Build, c kiln.Communicator) error {
	return f(ctx, b, c)
}

// wrap puts pause or timeout, and then retries, around a provisioner. A pause
// displaces a timeout, as it does in Packer, whose templates may rely on it.
func wrap(p *template.Provisioner, inner kiln.Provisioner) kiln.Provisioner {
	switch {
	case p.PauseBefore > 0:
		inner = paused(p, inner)
	case p.Timeout > 0:
		inner = timed(p.Timeout, inner)
	}
	if p.MaxRetries > 0 {
		inner = retried(p.MaxRetries, inner)
	}
	return inner
}

func paused(p *template.Provisioner, inner kiln.Provisioner) kiln.Provisioner {
	return provisionFunc(func(ctx context.Context, b *kiln.Build, c kiln.Communicator) error {
		if p.Timeout > 0 {
			b.Warn("Warning: timeout is not applied, because pause_before is set too.")
		}
		b.Say("Pausing %s before the next provisioner...", p.PauseBefore)
		timer := time.NewTimer(p.PauseBefore)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		return inner.Provision(ctx, b, c)
	})
}

func timed(timeout time.Duration, inner kiln.Provisioner) kiln.Provisioner {
	return provisionFunc(func(ctx context.Context, b *kiln.Build, c kiln.Communicator) error {
		b.Say("Setting a %s timeout for the next provisioner...", timeout)
		timedCtx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		err := inner.Provision(timedCtx, b, c)
		if err != nil && timedCtx.Err() != nil && ctx.Err() == nil {
			b.Error("Cancelling provisioner after a timeout...")
			return fmt.Errorf("provisioner did not end within its timeout of %s: %w", timeout, err)
		}
		return err
	})
}

// retried runs a provisioner again after a failure, at once: the template asked
// for tries, not for a wait. The error told in the end is that of the first try.
func retried(tries int, inner kiln.Provisioner) kiln.Provisioner {
	return provisionFunc(func(ctx context.Context, b *kiln.Build, c kiln.Communicator) error {
		var first error
		for left := tries; ; left-- {
			err := inner.Provision(ctx, b, c)
			if err == nil || ctx.Err() != nil {
				return errors.Join(err, ctx.Err())
			}
			if first == nil {
				first = err
			}
			if left == 0 {
				b.Error("retry limit reached.")
				return first
			}
			b.Error("Provisioner failed with %q, retrying with %d trie(s) left", err.Error(), left)
		}
	})
}
