package kiln

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Host is what the program lends to a build while it runs.
type Host struct {
	Emit    func(Event)
	Journal Journal
	// Render renders a {{ }} template with the build's data and vars as dot.
	Render func(b *Build, text string, vars map[string]any) (string, error)
	// Ask puts a question to the person at the terminal.
	Ask func(ctx context.Context, build, question string) (string, error)
	// Hide makes text unreadable in every sink from now on.
	Hide func(secret string)
	// Fetch brings a file to this machine, see [Build.Fetch].
	Fetch func(ctx context.Context, b *Build, r Remote) (string, error)
	// Checksum is what [Build.Checksum] returns.
	Checksum func(ctx context.Context, b *Build, r Remote) (string, error)
	// Layers are the layer keys for a machine whose start state has the given
	// identity; nil where layers are not wanted.
	Layers func(b *Build, identity string) []LayerKey
	// Last is what [Build.Last] returns.
	Last func(b *Build, resumed int) *Artifact
	// Pipes are shared by the builds of a run; nil: this build has its own.
	Pipes *Pipes
}

// Build is what a component may use while it runs. Nothing is looked up by name.
type Build struct {
	Run       string // identifier of the run, the same for all its builds
	Name      string // full name, as shown
	Source    string // name of the source or, for JSON, of the builder: PACKER_BUILD_NAME
	Type      string // builder type
	Component string // of whose events this is, such as "provisioner.shell"
	Step      int    // number of the step, from 1; 0 outside steps
	Dir       string // folder of the template
	Debug     bool   // pauses are wanted, keys are saved
	Force     bool   // overwrite and replace what is in the way
	OnError   string // cleanup, abort, ask, run-cleanup-provisioner
	Home      string // folder of state that outlives the run; empty: there is none

	host  Host
	state *state // shared by all views of one build
}

type state struct {
	ledger ledger
	pipes  Pipes // where the host has none
	mu     sync.Mutex
	data   map[string]any
	access Access
}

// NewBuild makes a build with its identity as in id, which lives in host.
func NewBuild(id Build, host Host) *Build {
	id.host = host
	id.state = &state{ledger: ledger{build: id.Name, journal: host.Journal}, data: map[string]any{}}
	return &id
}

// RunFile is the path for a file that is kept with the records of the run, such as a
// machine's console. Its folder may not exist yet. It is empty where nothing is kept.
func (b *Build) RunFile(name string) string {
	if b.Home == "" {
		return ""
	}
	return filepath.Join(b.Home, "runs", b.Run, name)
}

// For is the same build seen from a step of a component: what it owns and its
// data are shared, its events carry the component's name.
func (b *Build) For(component string, step int) *Build {
	c := *b
	c.Component, c.Step = component, step
	return &c
}

// Set gives a value to templates that run later in the build: {{ build `ID` }}
// and build.ID. Values are strings, numbers or booleans.
func (b *Build) Set(key string, value any) {
	b.state.mu.Lock()
	defer b.state.mu.Unlock()
	b.state.data[key] = value
}

// Data is a copy of all that was Set, with what follows from the build's [Access].
func (b *Build) Data() map[string]any {
	b.state.mu.Lock()
	defer b.state.mu.Unlock()
	data := maps.Clone(b.state.data)
	maps.Copy(data, b.state.access.data())
	return data
}

// GuestVars are the variables that every script of the build is given, on the
// machine and beside it: PACKER_BUILD_NAME and its like. They come from data, which
// is what the build generated; nil: all so far. The map is the caller's.
func (b *Build) GuestVars(data map[string]any) map[string]string {
	if data == nil {
		data = b.Data()
	}
	all := map[string]string{"PACKER_BUILD_NAME": b.Source, "PACKER_BUILDER_TYPE": b.Type}
	for name, key := range map[string]string{
		"PACKER_HTTP_ADDR": "PackerHTTPAddr", "PACKER_HTTP_IP": "PackerHTTPIP", "PACKER_HTTP_PORT": "PackerHTTPPort",
	} {
		if v, ok := data[key]; ok && !strings.HasPrefix(fmt.Sprint(v), "ERR_") {
			all[name] = fmt.Sprint(v)
		}
	}
	return all
}

// Render renders a {{ }} template until it no longer changes. Its dot holds the
// build's data and vars; vars win.
func (b *Build) Render(text string, vars map[string]any) (string, error) {
	if b.host.Render == nil {
		return text, nil
	}
	return b.host.Render(b, text, vars)
}

// Hide makes a secret unreadable in every sink from now on.
func (b *Build) Hide(secret string) {
	if b.host.Hide != nil && secret != "" {
		b.host.Hide(secret)
	}
}

// Ask puts a question to the person at the terminal and returns the line typed.
// Without a terminal it is ErrNoPrompt at once.
func (b *Build) Ask(ctx context.Context, question string) (string, error) {
	if b.host.Ask == nil {
		return "", ErrNoPrompt
	}
	return b.host.Ask(ctx, b.Name, question)
}

// Layers returns the keys of the machine's state, [0] for the start state with
// the given identity and [n] for the state after provisioner n. It is nil where
// layers are not wanted.
func (b *Build) Layers(identity string) []LayerKey {
	if b.host.Layers == nil {
		return nil
	}
	return b.host.Layers(b, identity)
}

// Last is the artifact that the build's machine gave when it was captured last, if all
// is as it was then that it depends on, and a machine with the effect of the first
// provisioners has that of all: capturing it would make the same again. It is nil where
// that is not so, or nothing is known. It may be asked after [Build.Layers]. Whether the
// artifact is still there is for the builder to see.
func (b *Build) Last(resumed int) *Artifact {
	if b.host.Last == nil {
		return nil
	}
	return b.host.Last(b, resumed)
}

// Emit sends an event, with build, component, step and time filled in.
func (b *Build) Emit(e Event) {
	if b.host.Emit == nil {
		return
	}
	e.Time, e.Run, e.Build = time.Now(), b.Run, b.Name
	if e.Component == "" {
		e.Component, e.Step = b.Component, b.Step
	}
	b.host.Emit(e)
}

// Say tells what is being done.
func (b *Build) Say(format string, args ...any) { b.emitText(EventSay, format, args) }

// Warn tells of something that may be wrong and does not stop the build.
func (b *Build) Warn(format string, args ...any) { b.emitText(EventWarn, format, args) }

// Error shows a failure that is not returned, or is shown before it is handled.
func (b *Build) Error(format string, args ...any) { b.emitText(EventError, format, args) }

func (b *Build) emitText(kind EventKind, format string, args []any) {
	text := format
	if len(args) > 0 {
		text = fmt.Sprintf(format, args...)
	}
	b.Emit(Event{Kind: kind, Text: text})
}
