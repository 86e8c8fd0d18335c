package ui

import (
	"fmt"
	"io"
	"strings"
	"time"

	"kiln"
)

// MachineReadable writes comma separated records: docs/compat/cli.md 3.
type MachineReadable struct {
	out       io.Writer
	timestamp bool
	state     *runState
	err       error
}

// NewMachineReadable makes a machine-readable sink. With timestamp, each message of a
// build begins with its time.
func NewMachineReadable(out io.Writer, timestamp bool) *MachineReadable {
	return &MachineReadable{out: out, timestamp: timestamp, state: newRunState()}
}

var recordEscapes = strings.NewReplacer(",", "%!(PACKER_COMMA)", "\r", `\r`, "\n", `\n`)

// Record is a line of the machine-readable output.
func Record(t time.Time, target, kind string, data ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d,%s,%s", t.Unix(), recordEscapes.Replace(target), kind)
	for _, d := range data {
		b.WriteString("," + recordEscapes.Replace(d))
	}
	return b.String() + "\n"
}

func (m *MachineReadable) record(e kiln.Event, target, kind string, data ...string) {
	if _, err := io.WriteString(m.out, Record(e.Time, target, kind, data...)); err != nil && m.err == nil {
		m.err = fmt.Errorf("write output: %w", err)
	}
}

func (m *MachineReadable) ui(e kiln.Event, bad bool, text string) {
	kind := "say"
	if bad {
		kind = "error"
	}
	m.record(e, "", "ui", kind, text)
}

// Event writes one event.
func (m *MachineReadable) Event(e kiln.Event) {
	m.state.event(e)
	switch e.Kind {
	case kiln.EventBuildEnd:
		text, bad := ending(e)
		m.stamped(e, bad, text)
	case kiln.EventRunEnd:
		m.end(e)
	default:
		text, bad, ok := message(e)
		if !ok {
			return
		}
		if e.Build == "" {
			m.ui(e, bad, text)
			return
		}
		m.stamped(e, bad, prefix(e, text))
	}
}

// stamped is a message of a build.
func (m *MachineReadable) stamped(e kiln.Event, bad bool, text string) {
	if m.timestamp {
		text = stamp(e.Time, text)
	}
	m.ui(e, bad, text)
}

// end writes results in the order of docs/compat/cli.md 3.
func (m *MachineReadable) end(e kiln.Event) {
	m.ui(e, false, "\n==> Wait completed after "+Duration(seconds(e.Seconds)))
	if e.Result == kiln.OutcomeCancelled {
		m.ui(e, false, m.state.cancelled())
		return
	}
	if failed := m.state.failed(); len(failed) > 0 {
		m.record(e, "", "error-count", fmt.Sprint(len(failed)))
		m.ui(e, true, "\n==> Some builds didn't complete successfully and had errors:")
		for _, c := range failed {
			m.record(e, c.name, "error", c.err)
			m.ui(e, true, fmt.Sprintf("--> %s: %s", c.name, c.err))
		}
	}
	made := false
	for _, c := range m.state.states() {
		if len(c.artifacts) == 0 {
			continue
		}
		if !made {
			m.ui(e, false, "\n==> Builds finished. The artifacts of successful builds are:")
			made = true
		}
		m.record(e, c.name, "artifact-count", fmt.Sprint(len(c.artifacts)))
		for i, a := range c.artifacts {
			m.artifact(e, c.name, fmt.Sprint(i), a)
		}
	}
	if !made {
		m.ui(e, false, "\n==> Builds finished but no artifacts were created.")
	}
}

func (m *MachineReadable) artifact(e kiln.Event, build, i string, a *kiln.Artifact) {
	if a == nil {
		m.record(e, build, "artifact", i, "nil")
	} else {
		m.record(e, build, "artifact", i, "builder-id", a.Builder)
		m.record(e, build, "artifact", i, "id", a.ID)
		m.record(e, build, "artifact", i, "string", a.String())
		m.record(e, build, "artifact", i, "files-count", fmt.Sprint(len(a.Files)))
		for n, f := range a.Files {
			m.record(e, build, "artifact", i, "file", fmt.Sprint(n), f)
		}
	}
	m.record(e, build, "artifact", i, "end")
	m.ui(e, false, fmt.Sprintf("--> %s: %s", build, a))
}

// Close returns the first error of writing.
func (m *MachineReadable) Close() error { return m.err }
