package engine

import (
	"context"
	"errors"
	"slices"
	"strings"

	"kiln"
)

// steps are the phases of a build that -on-error is about, in their order, each with
// the name that scripts know from Packer's messages.
var steps = []struct{ phase, name string }{
	{"start", "StepStart"},
	{"connect", "StepConnect"},
	{"provision", "StepProvision"},
	{"capture", "StepCapture"},
}

// attempt runs one phase. Under -on-error=ask a failure asks what to do, and the
// phase may run again; under -debug it pauses after each phase.
func (w *work) attempt(ctx context.Context, phase, step string, do func() error) error {
	w.enter(phase)
	for {
		err := do()
		if err == nil {
			return w.pause(ctx, "after run of step '"+step+"'")
		}
		w.failedIn = phase
		if ctx.Err() != nil {
			return cancelled(ctx, err)
		}
		if w.OnError == "ask" {
			again, abort := w.askAfter(ctx, step, err)
			if again {
				w.failedIn = ""
				continue
			}
			if abort {
				w.phase = "aborted"
			}
		}
		return err
	}
}

// aborted says that a failed build stays as it is, and what is not cleaned up.
func (w *work) aborted(ctx context.Context, err error) {
	if w.cleans() || w.failedIn == "" {
		return
	}
	at := slices.IndexFunc(steps, func(s struct{ phase, name string }) bool { return s.phase == w.failedIn })
	if ctx.Err() != nil {
		w.b.Error("Interrupted, aborting...")
	} else {
		w.b.Error("%v", err)
		w.b.Error("Step %q failed, aborting...", steps[at].name)
	}
	for _, s := range slices.Backward(steps[:at]) {
		switch {
		case s.phase == "start" && len(w.b.Owned()) == 0: // there is nothing to clean up
		case s.phase == "provision" && w.OnError == "run-cleanup-provisioner": // that has run
		default:
			w.b.Error("aborted: skipping cleanup of step %q", s.name)
		}
	}
}

// cancelled is the error of what ended because ctx did: it names the reason, such as
// a signal, where the error itself says that a context was cancelled. Other errors,
// and nil, stay as they are.
func cancelled(ctx context.Context, err error) error {
	var already *cancelledError
	if err == nil || ctx.Err() == nil || errors.As(err, &already) {
		return err
	}
	return &cancelledError{cause: context.Cause(ctx), err: err}
}

// cancelledError is an error that the end of a context led to.
type cancelledError struct{ cause, err error }

// Error names the cause once, and what was being done where the error tells.
func (e *cancelledError) Error() string {
	text := "build was cancelled"
	if !errors.Is(e.cause, context.Canceled) {
		text += ": " + e.cause.Error()
	}
	var more []string
	for line := range strings.Lines(e.err.Error()) {
		line = strings.TrimSpace(line)
		line = strings.TrimSuffix(strings.TrimSuffix(line, context.Canceled.Error()), ": ")
		line = strings.ReplaceAll(line, context.Canceled.Error(), e.cause.Error())
		if line != "" && line != e.cause.Error() && !slices.Contains(more, line) {
			more = append(more, line)
		}
	}
	if len(more) == 0 {
		return text
	}
	return text + ": " + strings.Join(more, "\n")
}

func (e *cancelledError) Unwrap() []error { return []error{context.Canceled, e.cause, e.err} }

// named is the text of an error with the reason for which ctx ended in the place of
// "context canceled".
func named(ctx context.Context, err error) string {
	text := err.Error()
	if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil {
		text = strings.ReplaceAll(text, context.Canceled.Error(), cause.Error())
	}
	return text
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
	w.b.Say("Step %q failed", step)
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
		return cancelled(ctx, err)
	}
	return nil
}
