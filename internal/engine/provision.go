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
		var again bool
		err = w.attempt(ctx, "provision", "StepProvision", func() (err error) {
			again, err = w.provision(ctx, machine)
			return err
		})
		if !again || err != nil {
			return machine, err
		}
		w.b.Say("A local step changed the inputs of later steps: starting again from another layer...")
		if err := w.takeDown(); err != nil {
			return nil, err
		}
	}
}

// takeDown destroys a machine, in whose place another one is started.
func (w *work) takeDown() error {
	w.disconnect()
	ctx, cancel := w.closing()
	defer cancel()
	return w.b.Close(ctx)
}

// started starts the machine and connects to it.
func (w *work) started(ctx context.Context, builder kiln.Builder) (machine kiln.Machine, err error) {
	for {
		err = w.attempt(ctx, "start", "StepStart", func() (err error) {
			machine, err = builder.Start(ctx, w.b)
			return err
		})
		if err != nil {
			return nil, err
		}
		again := false
		err = w.attempt(ctx, "connect", "StepConnect", func() (err error) {
			w.c, err = machine.Connect(ctx)
			if again = err != nil && w.dropLayer(ctx, machine, err); again {
				return nil
			}
			return err
		})
		if !again || err != nil {
			return machine, err
		}
		if err := w.takeDown(); err != nil {
			return nil, err
		}
	}
}

// dropLayer gives up the layer that a machine was started from which does not let us in: a
// step may have shut out whoever comes after it, which is not seen as long as a connection
// goes on. It reports whether the build can begin without it.
func (w *work) dropLayer(ctx context.Context, machine kiln.Machine, why error) bool {
	c, ok := machine.(kiln.Checkpointer)
	if !ok || ctx.Err() != nil || w.chain == nil || w.job.resumed != nil {
		return false
	}
	n := c.Resumed()
	if n == 0 || n >= len(w.chain.keys) {
		return false
	}
	w.b.Warn("Warning: the machine lets nobody in when it starts from the layer after step %d (%v): "+
		"the layer is removed, and the build begins without one.", n, why)
	key := w.chain.keys[n]
	w.chain.fresh = true
	if store, ok := w.builder.(kiln.LayerStore); ok {
		_ = store.RemoveLayer(ctx, key) // without its record it is not used, whatever becomes of it
	}
	if err := w.Layers.Forget(key); err != nil {
		w.b.Warn("Warning: %v", err)
	}
	return true
}

// provision runs the provisioners in order. Again means that the machine was started
// from a layer that turned out to be the wrong one.
func (w *work) provision(ctx context.Context, machine kiln.Machine) (again bool, err error) {
	resumed := 0
	w.checkpointer, _ = machine.(kiln.Checkpointer)
	if w.checkpointer != nil {
		resumed = w.checkpointer.Resumed()
	}
	w.resume(resumed)
	w.sayResumed(resumed)
	w.provisioning = true
	if w.chain != nil && resumed > 0 && resumed < len(w.job.Template.Provisioners) {
		w.noteProgress(w.progress())
	}
	told, checked := w.chain == nil || w.checkpointer == nil, false
	for i, p := range w.job.Template.Provisioners {
		provisioner, err := w.provisioner(p)
		if err != nil {
			return false, err
		}
		outside := kiln.TraitsOf(provisioner).Outside
		b := w.b.For("provisioner."+p.Type, i+1)
		if i < resumed && !outside {
			b.Emit(kiln.Event{Kind: kiln.EventLayer, Text: "hit", Data: []string{title(p)}})
			continue
		}
		if w.done[i] {
			continue
		}
		if err := w.beforeStep(b, i); err != nil {
			return false, err
		}
		if !outside && !checked {
			if err := w.goesOn(i, resumed); err != nil {
				w.provisioning = false
				return false, err
			}
			checked = true
		}
		if told {
			w.sayEnd(b, i)
		} else if !outside {
			told = true
			b.Emit(kiln.Event{Kind: kiln.EventLayer, Text: w.reason(i), Data: []string{title(p)}})
		}
		if w.chain != nil && !outside {
			w.chain.ran[i] = time.Now()
		}
		w.at = i + 1
		if err := w.step(ctx, b, p, provisioner); err != nil {
			return false, err
		}
		w.at = 0
		if outside {
			w.done[i] = true
			if again, err := w.outdated(ctx, b, i, resumed); again || err != nil {
				return again, err
			}
			continue
		}
		if err := w.afterStep(ctx, b, i); err != nil {
			return false, err
		}
	}
	w.rememberRun()
	return false, nil
}

// provisioner is a step's component with all that is known by now.
func (w *work) provisioner(p *template.Provisioner) (kiln.Provisioner, error) {
	component, diags := p.Decode(w.b.Data())
	if err := diagError(diags); err != nil {
		return nil, err
	}
	provisioner, ok := component.(kiln.Provisioner)
	if !ok {
		return nil, fmt.Errorf("%s is not a provisioner", p.Type)
	}
	return provisioner, nil
}

// step runs one provisioner with what the template says around it.
func (w *work) step(
	ctx context.Context,
	b *kiln.Build,
	p *template.Provisioner,
	component kiln.Provisioner,
) error {
	if w.Debug {
		if err := w.pause(ctx, "before the next provisioner "); err != nil {
			return err
		}
	}
	begin := time.Now()
	w.stepped = true
	b.Emit(
		kiln.Event{Kind: kiln.EventStepStart, Text: title(p), Total: int64(len(w.job.Template.Provisioners))},
	)
	err := w.wrap(p, component).Provision(ctx, b, w.c)
	end := kiln.Event{Kind: kiln.EventStepEnd, Text: title(p), Seconds: time.Since(begin).Seconds()}
	if err != nil {
		end.Error = cancelled(ctx, err).Error()
	}
	b.Emit(end)
	if err != nil && p.ContinueOnError && ctx.Err() == nil {
		b.Warn(
			"Warning: Provisioner failed with %q, but continue_on_error is set; continuing the build.",
			err.Error(),
		)
		w.stopKeeping(b, "step %d failed and was allowed to", b.Step)
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
	provisioner, err := w.provisioner(p)
	if err == nil {
		err = w.step(
			ctx,
			w.b.For("error-cleanup-provisioner."+p.Type, len(w.job.Template.Provisioners)+1),
			p,
			provisioner,
		)
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
func (w *work) wrap(p *template.Provisioner, inner kiln.Provisioner) kiln.Provisioner {
	switch {
	case p.PauseBefore > 0:
		inner = paused(p, inner)
	case p.Timeout > 0:
		inner = timed(p.Timeout, inner)
	}
	if p.MaxRetries > 0 {
		inner = w.retried(p.MaxRetries, inner)
	}
	return inner
}

func paused(p *template.Provisioner, inner kiln.Provisioner) kiln.Provisioner {
	return provisionFunc(func(ctx context.Context, b *kiln.Build, c kiln.Communicator) error {
		if p.Timeout > 0 {
			b.Warn("Warning: timeout is not applied, because pause_before is set too.")
		}
		b.Say("Pausing %s before the next provisioner...", p.PauseBefore)
		if err := kiln.Sleep(ctx, p.PauseBefore); err != nil {
			return err
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
func (w *work) retried(tries int, inner kiln.Provisioner) kiln.Provisioner {
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
			w.stopKeeping(b, "a try of step %d failed", b.Step)
			if left == 0 {
				b.Say("retry limit reached.")
				return first
			}
			b.Say("Provisioner failed with %q, retrying with %d trie(s) left", err.Error(), left)
		}
	})
}
