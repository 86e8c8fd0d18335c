package main

import (
	"context"
	"errors"
	"strings"

	"kiln"
)

// Exit codes, as Packer's where it has them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitToDo        = 2   // plan -detailed-exitcode found something to do
	exitUnformatted = 3   // fmt -check found a file to format
	exitNoSuch      = 127 // no command, or one that does not exist
)

var (
	// errReported is a failure that the user has seen already.
	errReported = errors.New("reported")
	// errUnformatted is fmt -check that found a file to format and named it.
	errUnformatted = errors.New("not formatted")
	// errToDo is plan -detailed-exitcode where a build would make something new.
	errToDo = errors.New("something to do")
	// errNoCommand is a command line without a command that exists.
	errNoCommand = errors.New("no such command")
)

// exitCodes is the one table from errors to exit codes. Scripts know Packer's, which
// has 1 for every kind of failure.
var exitCodes = []struct {
	err  error
	code int
}{
	{errNoCommand, exitNoSuch},
	{errUnformatted, exitUnformatted},
	{errToDo, exitToDo},
	{errReported, exitFailed},
	{kiln.ErrInvalid, exitFailed},
	{kiln.ErrNotFound, exitFailed},
	{kiln.ErrConflict, exitFailed},
	{kiln.ErrDenied, exitFailed},
	{kiln.ErrCancelled, exitFailed},
	{kiln.ErrConnectionLost, exitFailed},
	{kiln.ErrNoPrompt, exitFailed},
	{context.Canceled, exitFailed},
}

// exitCode is what a command that returned err exits with.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if failed, ok := errors.AsType[*guestError](err); ok && failed.exit.Code > 0 {
		return failed.exit.Code // boot: that of what ran in the machine
	}
	for _, row := range exitCodes {
		if errors.Is(err, row.err) {
			return row.code
		}
	}
	return exitFailed
}

// wordedError is an error that is shown in words of its own, where others follow
// "Error: ".
type wordedError struct {
	messages []message
	kind     error // for the exit code; may be nil
}

func (e *wordedError) Error() string {
	var texts []string
	for _, m := range e.messages {
		texts = append(texts, m.String())
	}
	return strings.Join(texts, "\n")
}

func (e *wordedError) Unwrap() error { return e.kind }

// worded is an error that is shown as these messages.
func worded(messages ...message) error { return &wordedError{messages: messages} }

// wordedf is an error that is shown as one message.
func wordedf(format string, args ...any) error { return worded(failed(format, args...)) }

// report shows an error, once: at the end of a command, or before it goes on.
func (p *program) report(err error) {
	var w *wordedError
	switch {
	case err == nil, errors.Is(err, errReported), errors.Is(err, errUnformatted), errors.Is(err, errToDo):
	case errors.As(err, &w):
		for _, m := range w.messages {
			p.print(m.kind, m.text)
		}
	default:
		p.fail("Error: %s", interrupted(err.Error()))
	}
}

// interrupted is a text about what was ended by a signal, without the words of the
// program's inside.
func interrupted(text string) string {
	return strings.ReplaceAll(text, context.Canceled.Error(), "interrupted")
}
