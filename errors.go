package kiln

import (
	"errors"
	"fmt"
)

// The kinds of failure that callers tell apart with [errors.Is].
var (
	ErrInvalid        = errors.New("invalid")
	ErrNotFound       = errors.New("not found")
	ErrConflict       = errors.New("conflict")
	ErrDenied         = errors.New("denied")
	ErrCancelled      = errors.New("cancelled")
	ErrConnectionLost = errors.New("connection to the machine was lost")
	// ErrNotKept is a state of a machine that a layer cannot hold; the text around it
	// says why.
	ErrNotKept = errors.New("a layer cannot hold the machine's state")
	// ErrNotNow is a state of a machine that a layer cannot hold now, and may hold after a
	// further step.
	ErrNotNow = errors.New("the machine's state cannot be kept now")
	// ErrReplaced is what a Reaper returns that finds another thing of the same name: it
	// has left that alone, and what was to be destroyed is gone.
	ErrReplaced = errors.New("left alone: it is another one now")
	// ErrOutOfReach is what a Reaper returns of a thing on a machine to which there is no
	// way from here: the user is told once where it is, and it is struck off.
	ErrOutOfReach = errors.New("it may still be there, and only you can get at it")
	// ErrNoPrompt is returned by Build.Ask where nobody can be asked.
	ErrNoPrompt = errors.New("no terminal to ask on")
)

// ExitError is a command that ran and ended with a code other than 0.
type ExitError struct {
	Code   int
	Signal string // name of the signal that ended it, if one did
}

func (e *ExitError) Error() string {
	if e.Signal != "" {
		return fmt.Sprintf("command ended by signal %s", e.Signal)
	}
	return fmt.Sprintf("command exited with status %d", e.Code)
}

// StartError is a command that was not started: nothing of it ran, so trying it
// again is safe.
type StartError struct {
	Err   error
	Final bool // trying again cannot help: the machine answered, and refused
}

func (e *StartError) Error() string { return "start command: " + e.Err.Error() }
func (e *StartError) Unwrap() error { return e.Err }

// FieldError is a problem of one field of a component's configuration.
type FieldError struct {
	Field string // as the template spells it; empty where several are to blame
	Err   error
	Hint  string // what to do next; may be empty
	// Caution: nothing is wrong, but the user is to be warned of it.
	Caution bool
}

func (e *FieldError) Error() string {
	if e.Hint != "" {
		return e.Err.Error() + " (" + e.Hint + ")"
	}
	return e.Err.Error()
}
func (e *FieldError) Unwrap() error        { return e.Err }
func (e *FieldError) Is(target error) bool { return target == ErrInvalid }

// Invalid reports a problem of one field.
func Invalid(field, format string, args ...any) error {
	return &FieldError{Field: field, Err: fmt.Errorf(format, args...)}
}

// Caution warns of one field, of what may be meant as it is.
func Caution(field, format string, args ...any) error {
	return &FieldError{Field: field, Err: fmt.Errorf(format, args...), Caution: true}
}

// Errors lists the leaves of errors that were joined, in order.
func Errors(err error) []error {
	if err == nil {
		return nil
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range j.Unwrap() {
			all = append(all, Errors(e)...)
		}
		return all
	}
	return []error{err}
}

// An UndestroyedError is an error of closing a build: what could not be destroyed.
type UndestroyedError struct {
	Resource Resource
	Err      error
}

func (e *UndestroyedError) Error() string { return fmt.Sprintf("destroy %s: %v", e.Resource, e.Err) }
func (e *UndestroyedError) Unwrap() error { return e.Err }

// Undestroyed lists the resources named by the UndestroyedErrors within err.
func Undestroyed(err error) []Resource {
	var all []Resource
	for _, e := range Errors(err) {
		var u *UndestroyedError
		if errors.As(e, &u) {
			all = append(all, u.Resource)
		}
	}
	return all
}
