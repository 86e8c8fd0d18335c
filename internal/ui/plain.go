package ui

import (
	"fmt"
	"io"
	"time"

	"kiln"
)

// PlainOptions says how Plain writes.
type PlainOptions struct {
	Color     bool
	Legend    bool // say which build has which colour, even where there are none
	Timestamp bool // begin each message of a build with its time
	Terminal  bool // out is one: nothing but colours may control it
}

// Plain writes what Packer writes: docs/compat/cli.md 2.3.
type Plain struct {
	out   io.Writer
	o     PlainOptions
	state *runState
	err   error
}

// NewPlain makes a plain sink.
func NewPlain(out io.Writer, o PlainOptions) *Plain {
	return &Plain{out: out, o: o, state: newRunState()}
}

// colours of builds, by index; repeating.
var colours = []int{32, 36, 35, 33, 34}

const red = 31

func paint(text string, colour int) string {
	return fmt.Sprintf("\x1b[1;%dm%s\x1b[0m", colour, text)
}

func (p *Plain) write(text string) {
	if _, err := io.WriteString(p.out, text); err != nil && p.err == nil {
		p.err = fmt.Errorf("write output: %w", err)
	}
}

func (p *Plain) line(text string, colour int) {
	if p.o.Terminal {
		text = Clean(text)
	}
	if p.o.Color && colour > 0 {
		text = paint(text, colour)
	}
	p.write(text + "\n")
}

// stamped is a line of a build, which begins with its time where that is wanted.
func (p *Plain) stamped(t time.Time, text string, colour int) {
	if p.o.Timestamp {
		text = stamp(t, text)
	}
	p.line(text, colour)
}

// stamp puts the time before a message.
func stamp(t time.Time, text string) string { return t.Local().Format(time.RFC3339) + ": " + text }

// problem is the colour of what went wrong beside the builds: none in a pipe, where
// such lines are looked for.
func (p *Plain) problem(bad bool) int {
	if bad && p.o.Terminal {
		return red
	}
	return 0
}

// Event writes one event.
func (p *Plain) Event(e kiln.Event) {
	p.state.event(e)
	switch e.Kind {
	case kiln.EventRunStart:
		if p.o.Color || p.o.Legend {
			for i, name := range e.Data {
				p.line(name+": output will be in this color.", colours[i%len(colours)])
			}
			p.write("\n")
		}
		return
	case kiln.EventRunEnd:
		for _, l := range p.state.summary(seconds(e.Seconds)) {
			p.line(l.text, p.problem(l.error))
		}
		return
	case kiln.EventPrompt:
		text := prefix(e, e.Text)
		if p.o.Terminal {
			text = Clean(text)
		}
		p.write(text + " ")
		flush(p.out)
		return
	}
	if e.Build == "" {
		if text, bad, ok := message(e); ok {
			p.line(text, p.problem(bad))
		}
		return
	}
	colour := colours[p.state.build(e.Build).index%len(colours)]
	if e.Kind == kiln.EventBuildEnd {
		text, bad := ending(e)
		if bad {
			colour = red
		}
		p.stamped(e.Time, text, colour)
		return
	}
	if text, bad, ok := message(e); ok {
		if bad {
			colour = red
		}
		p.stamped(e.Time, prefix(e, text), colour)
	}
}

// Close returns the first error of writing.
func (p *Plain) Close() error { return p.err }
