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
	Timestamp bool // begin each message of a build with its time
	Terminal  bool // there is somebody to see errors outside builds in colour, as with Packer
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
	if p.o.Color && colour > 0 && (p.o.Terminal || colour != red) {
		text = paint(text, colour)
	}
	p.write(text + "\n")
}

func (p *Plain) stamped(t time.Time, text string, colour int) {
	if p.o.Color && colour > 0 {
		text = paint(text, colour)
	}
	if p.o.Timestamp {
		text = t.Local().Format(time.RFC3339) + ": " + text
	}
	p.write(text + "\n")
}

// Event writes one event.
func (p *Plain) Event(e kiln.Event) {
	p.state.event(e)
	switch e.Kind {
	case kiln.EventRunStart:
		if p.o.Color {
			for i, name := range e.Data {
				p.line(name+": output will be in this color.", colours[i%len(colours)])
			}
			p.write("\n")
		}
		return
	case kiln.EventRunEnd:
		for _, l := range p.state.summary(seconds(e.Seconds)) {
			colour := 0
			if l.error {
				colour = red
			}
			p.line(l.text, colour)
		}
		return
	case kiln.EventPrompt:
		p.write(prefix(e, e.Text) + " ")
		flush(p.out)
		return
	}
	if e.Build == "" {
		if text, bad, ok := message(e); ok {
			p.line(text, map[bool]int{true: red}[bad])
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
