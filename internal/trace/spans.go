// Package trace makes the spans of a run from its events, and sends them to where
// OpenTelemetry's environment variables say.
package trace

import (
	"fmt"
	"strings"
	"time"

	"kiln"
)

// Span is a stretch of a run's time.
type Span struct {
	Name     string    `json:"name"`
	Kind     string    `json:"kind"` // run, build, phase, step, upload
	Start    time.Time `json:"start"`
	End      time.Time `json:"end"`
	Error    string    `json:"error,omitempty"`
	Attrs    []Attr    `json:"attributes,omitempty"`
	Children []*Span   `json:"children,omitempty"`
}

// Attr is something known of a span.
type Attr struct {
	Key   string `json:"key"`
	Value any    `json:"value"` // string, int64 or bool
}

// Seconds is how long it took.
func (s *Span) Seconds() float64 { return s.End.Sub(s.Start).Seconds() }

func (s *Span) attr(key string, value any) { s.Attrs = append(s.Attrs, Attr{key, value}) }

// Collector is a sink that makes spans of events.
type Collector struct {
	root   *Span
	builds map[string]*open
	last   time.Time
}

// open is a build that goes on.
type open struct {
	build, phase, step, transfer *Span
}

// NewCollector makes a collector for one run.
func NewCollector() *Collector { return &Collector{builds: map[string]*open{}} }

// Close does nothing: the spans stay.
func (c *Collector) Close() error { return nil }

// Run is the span of the run with all others in it; nil: there was none. What did
// not end ends with the last event.
func (c *Collector) Run() *Span {
	if c.root == nil {
		return nil
	}
	for _, o := range c.builds {
		for _, s := range []*Span{o.transfer, o.step, o.phase, o.build} {
			if s != nil && s.End.IsZero() {
				s.End = c.last
			}
		}
	}
	if c.root.End.IsZero() {
		c.root.End = c.last
	}
	return c.root
}

// Event takes one event.
func (c *Collector) Event(e kiln.Event) {
	c.last = e.Time
	if c.root == nil {
		c.root = &Span{Name: "kiln build", Kind: "run", Start: e.Time}
		c.root.attr("kiln.run", e.Run)
	}
	if e.Build == "" {
		if e.Kind == kiln.EventRunEnd {
			c.root.End = e.Time
			c.root.attr("kiln.result", string(e.Result))
			if e.Result != kiln.OutcomeSuccess {
				c.root.Error = string(e.Result)
			}
		}
		return
	}
	o := c.builds[e.Build]
	if o == nil {
		o = &open{build: c.child(c.root, "build "+e.Build, "build", e.Time)}
		o.build.attr("kiln.build", e.Build)
		c.builds[e.Build] = o
	}
	c.event(o, e)
}

func (c *Collector) child(parent *Span, name, kind string, start time.Time) *Span {
	s := &Span{Name: name, Kind: kind, Start: start}
	parent.Children = append(parent.Children, s)
	return s
}

func (c *Collector) event(o *open, e kiln.Event) {
	inner := o.build
	if o.phase != nil {
		inner = o.phase
	}
	if o.step != nil {
		inner = o.step
	}
	switch e.Kind {
	case kiln.EventPhase:
		o.end(e.Time)
		name := e.Text
		if name == "connect" {
			name = "wait for a connection"
		}
		o.phase = c.child(o.build, name, "phase", e.Time)
	case kiln.EventStepStart:
		o.step = c.child(inner, fmt.Sprintf("step %d %s", e.Step, strings.TrimSpace(e.Text)), "step", e.Time)
		o.step.attr("kiln.component", e.Component)
		o.step.attr("kiln.step", int64(e.Step))
	case kiln.EventLayer:
		s := c.child(inner, fmt.Sprintf("layer of step %d", e.Step), "layer", e.Time)
		s.End = e.Time
		s.attr("kiln.layer", e.Text)
	case kiln.EventProgress:
		if o.transfer == nil || o.transfer.Name != "transfer "+e.Text {
			if o.transfer != nil && o.transfer.End.IsZero() {
				o.transfer.End = e.Time
			}
			o.transfer = c.child(inner, "transfer "+e.Text, "upload", e.Time)
			o.transfer.attr("kiln.bytes", e.Total)
		}
		o.transfer.End = e.Time
	case kiln.EventStepEnd:
		if o.step != nil {
			o.step.End, o.step.Error = e.Time, e.Error
		}
		o.step, o.transfer = nil, nil
	case kiln.EventArtifact:
		if e.Artifact != nil {
			o.build.attr("kiln.artifact", e.Artifact.ID)
		}
	case kiln.EventBuildEnd:
		o.end(e.Time)
		o.build.End, o.build.Error = e.Time, e.Error
		o.build.attr("kiln.result", string(e.Result))
	}
}

// end ends what goes on inside a build.
func (o *open) end(at time.Time) {
	for _, s := range []*Span{o.transfer, o.step, o.phase} {
		if s != nil && s.End.IsZero() {
			s.End = at
		}
	}
	o.transfer, o.step, o.phase = nil, nil, nil
}

// Text is the spans as an indented list with times.
func (s *Span) Text() string {
	var b strings.Builder
	s.write(&b, 0, s.Start)
	return b.String()
}

func (s *Span) write(b *strings.Builder, depth int, zero time.Time) {
	fmt.Fprintf(b, "%9.3fs %9.3fs  %s%s", s.Start.Sub(zero).Seconds(), s.Seconds(), strings.Repeat("  ", depth),
		s.Name)
	for _, a := range s.Attrs {
		if a.Key == "kiln.layer" {
			fmt.Fprintf(b, ": %v", a.Value)
		}
	}
	if s.Error != "" {
		line, _, _ := strings.Cut(s.Error, "\n")
		fmt.Fprintf(b, "  [%s]", line)
	}
	b.WriteByte('\n')
	for _, c := range s.Children {
		c.write(b, depth+1, zero)
	}
}
