package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kiln"
)

// attempt runs one phase. Under -on-error=ask a failure asks what to do, and the
// phase may run again; under -debug it pauses after each phase.
func (w *work) attempt(ctx context.Context, phase, step string, do func() error) error {
	w.enter(phase)
	for {
		err := do()
		if err == nil {
			return w.pause(ctx, "after run of step '"+step+"'")
		}
		if ctx.Err() != nil {
			if w.OnError == "abort" || w.OnError == "run-cleanup-provisioner" {
				w.b.Error("Interrupted, aborting...")
			}
			return cancelled(err)
		}
		switch w.OnError {
		case "abort", "run-cleanup-provisioner":
			w.b.Error("%v", err)
			w.b.Error("Step %q failed, aborting...", step)
			return err
		case "ask":
			again, abort := w.askAfter(ctx, step, err)
			if again {
				continue
			}
			if abort {
				w.b.Error("Step %q failed, aborting...", step)
				w.phase = "aborted"
			}
		}
		return err
	}
}

// cancelled says that a build ended because it was cancelled, whatever the error
// was that the cancellation led to.
func cancelled(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, kiln.ErrCancelled) {
		return fmt.Errorf("build was cancelled: %w", err)
	}
	return fmt.Errorf("build was cancelled: %w: %w", context.Canceled, err)
}

// ask puts a question to a person, who may have worked on the machine by hand before
// answering. Questions while connecting are about the way in.
func (w *work) ask(ctx context.Context, build, question string) (string, error) {
	if w.Ask == nil {
		return "", kiln.ErrNoPrompt
	}
	answer, err := w.Ask(ctx, build, question)
	if err == nil && w.phase != "connect" {
		w.stopKeeping(w.b, "somebody was asked, and may have worked on the machine by hand")
	}
	return answer, err
}

// askAfter asks what to do about a failed step.
func (w *work) askAfter(ctx context.Context, step string, err error) (again, abort bool) {
	w.b.Error("%v", err)
	w.b.Error("Step %q failed", step)
	for {
		answer, askErr := w.b.Ask(
			ctx,
			"[c] Clean up and exit, [a] abort without cleanup, or [r] retry step (build may fail even if retry succeeds)?",
		)
		if askErr != nil || ctx.Err() != nil {
			return false, false
		}
		switch answer = strings.ToLower(strings.TrimSpace(answer)); {
		case answer == "" || answer[0] == 'c':
			return false, false
		case answer[0] == 'a':
			return false, true
		case answer[0] == 'r':
			return true, false
		}
		w.b.Say("Incorrect input: %q", answer)
	}
}

// pause waits for the enter key under -debug. Where nobody can be asked it does
// not wait.
func (w *work) pause(ctx context.Context, where string) error {
	if !w.Debug {
		return nil
	}
	_, err := w.b.Ask(ctx, "Pausing "+where+". Press enter to continue.")
	if err != nil && ctx.Err() != nil {
		return cancelled(err)
	}
	return nil
}
