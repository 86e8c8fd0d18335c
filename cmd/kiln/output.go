package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"kiln"
	"kiln/internal/redact"
	"kiln/internal/ui"
)

// program is one call of kiln: its streams and what holds for every command.
type program struct {
	in       io.Reader
	out      *redact.Stream
	errs     *redact.Stream
	terminal *os.File // what out leads to; nil: no file
	redactor *redact.Redactor
	name     string // kiln or packer, as it was called
	start    time.Time
	machine  bool   // -machine-readable
	aside    bool   // standard output is JSON: messages go to standard error
	stage    *stage // of a build; nil: another command
}

// newProgram puts the redactor in front of both outputs.
func newProgram(in io.Reader, out, errs io.Writer) *program {
	r := new(redact.Redactor)
	p := &program{in: in, out: r.Stream(out), errs: r.Stream(errs), redactor: r, name: "kiln", start: time.Now()}
	p.terminal, _ = out.(*os.File)
	return p
}

// flush ends the outputs.
func (p *program) flush() {
	// Nobody is left to hear that they cannot be written.
	_ = p.out.Flush()
	_ = p.errs.Flush()
}

// asPacker reports whether the program was called by Packer's name.
func (p *program) asPacker() bool { return p.name == "packer" }

// say prints one message for people, or its machine-readable form.
func (p *program) say(format string, args ...any) { p.print("say", fmt.Sprintf(format, args...)) }

// fail prints an error. As with Packer, errors go to standard output.
func (p *program) fail(format string, args ...any) { p.print("error", fmt.Sprintf(format, args...)) }

func (p *program) print(kind, text string) {
	if !p.tell(kiln.EventKind(kind), text) {
		p.write(kind, text)
	}
}

// tell sends a message to where a build is seen, and reports whether it is shown there.
func (p *program) tell(kind kiln.EventKind, text string) bool {
	return p.stage != nil && p.stage.tell(kind, text)
}

// write prints a message.
func (p *program) write(kind, text string) {
	if p.machine {
		p.record("", "ui,"+kind, text)
		return
	}
	if p.onTerminal() {
		text = ui.Clean(text)
	}
	if p.aside {
		fmt.Fprintln(p.errs, text)
		return
	}
	fmt.Fprintln(p.out, text)
}

// onTerminal reports whether standard output is a terminal.
func (p *program) onTerminal() bool {
	return p.terminal != nil && term.IsTerminal(int(p.terminal.Fd()))
}

// warn prints on standard error what does not make a command fail.
func (p *program) warn(err error) { fmt.Fprintf(p.errs, "Warning: %s\n", err) }

// record prints a machine-readable line, see docs/compat/cli.md 3.
func (p *program) record(target, kind string, data ...string) {
	now := time.Now()
	// As with other messages, that it cannot be printed changes nothing.
	_ = p.out.Record(func(fields []string) string { return ui.Record(now, fields[0], kind, fields[1:]...) },
		append([]string{target}, data...)...)
}

// object is a JSON object whose keys are words of the program: only the values may
// hold secrets.
type object map[string]any

// json prints a value as JSON.
func (p *program) json(v any) error { return p.out.JSON(v) }

// events is a sink that gets masked events only.
func (p *program) events(sinks ...ui.Sink) ui.Sink { return p.redactor.Sink(ui.NewFanout(sinks...)) }

// message is one text that is shown, by say or fail.
type message struct{ kind, text string }

func said(format string, args ...any) message { return message{"say", fmt.Sprintf(format, args...)} }
func failed(format string, args ...any) message {
	return message{"error", fmt.Sprintf(format, args...)}
}

func (m message) String() string { return strings.TrimRight(m.text, "\n") }
