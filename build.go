package kiln

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"
)

// Journal keeps what a build owns, so that another process can clean up.
type Journal interface {
	Own(build string, r Resource) error     // returns when the record is safe
	Gone(build string, r Resource) error    // it was destroyed
	Release(build string, r Resource) error // it belongs to an artifact now
}

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
	// Layers are the layer keys for a machine whose start state has the given
	// identity; nil where layers are not wanted.
	Layers func(b *Build, identity string) []LayerKey
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

	host  Host
	state *state // shared by all views of one build
}

type state struct {
	mu    sync.Mutex
	owned []owned
	data  map[string]any
}

type owned struct {
	Resource
	destroy func(context.Context) error
}

// NewBuild makes a build with its identity as in id, which lives in host.
func NewBuild(id Build, host Host) *Build {
	id.host = host
	id.state = &state{data: map[string]any{}}
	return &id
}

// For is the same build seen from a step of a component: what it owns and its
// data are shared, its events carry the component's name.
func (b *Build) For(component string, step int) *Build {
	c := *b
	c.Component, c.Step = component, step
	return &c
}

// Own records that the build is about to make r, and how to destroy it again.
// It is called before the thing is made; destroying what was never made must
// succeed. An error means that nothing may be made.
func (b *Build) Own(r Resource, destroy func(context.Context) error) error {
	if b.host.Journal != nil {
		if err := b.host.Journal.Own(b.Name, r); err != nil {
			return fmt.Errorf("journal %s: %w", r, err)
		}
	}
	b.state.mu.Lock()
	defer b.state.mu.Unlock()
	b.state.owned = append(b.state.owned, owned{r, destroy})
	return nil
}

// Release gives r to the artifact: the build does not destroy it. That r is not
// owned is no error.
func (b *Build) Release(r Resource) error {
	if _, ok := b.drop(r); !ok || b.host.Journal == nil {
		return nil
	}
	return b.host.Journal.Release(b.Name, r)
}

// Forget strikes r off without destroying it: what it stood for has become
// another resource, which is owned by now.
func (b *Build) Forget(r Resource) error {
	if _, ok := b.drop(r); !ok || b.host.Journal == nil {
		return nil
	}
	return b.host.Journal.Gone(b.Name, r)
}

// Destroy destroys one resource now, instead of when the build is closed. That
// it is not owned is no error.
func (b *Build) Destroy(ctx context.Context, r Resource) error {
	o, ok := b.drop(r)
	if !ok {
		return nil
	}
	return b.destroy(ctx, o)
}

func (b *Build) drop(r Resource) (owned, bool) {
	b.state.mu.Lock()
	defer b.state.mu.Unlock()
	for i, o := range b.state.owned {
		if o.Owner == r.Owner && o.Kind == r.Kind && o.ID == r.ID && maps.Equal(o.Attrs, r.Attrs) {
			b.state.owned = append(b.state.owned[:i:i], b.state.owned[i+1:]...)
			return o, true
		}
	}
	return owned{}, false
}

func (b *Build) destroy(ctx context.Context, o owned) error {
	if err := o.destroy(ctx); err != nil {
		return &Left{o.Resource, err}
	}
	if b.host.Journal == nil {
		return nil
	}
	return b.host.Journal.Gone(b.Name, o.Resource)
}

// Close destroys what is owned, newest first. All of it is tried; the errors are
// joined, each a *Left. The caller gives it a context that a cancelled build does
// not cancel.
func (b *Build) Close(ctx context.Context) error {
	b.state.mu.Lock()
	all := b.state.owned
	b.state.owned = nil
	b.state.mu.Unlock()
	var errs []error
	for i := len(all) - 1; i >= 0; i-- {
		errs = append(errs, b.destroy(ctx, all[i]))
	}
	return errors.Join(errs...)
}

// Owned lists what the build owns now, oldest first.
func (b *Build) Owned() []Resource {
	b.state.mu.Lock()
	defer b.state.mu.Unlock()
	var all []Resource
	for _, o := range b.state.owned {
		all = append(all, o.Resource)
	}
	return all
}

// Set gives a value to templates that run later in the build: {{ build `ID` }}
// and build.ID. Values are strings, numbers or booleans.
func (b *Build) Set(key string, value any) {
	b.state.mu.Lock()
	defer b.state.mu.Unlock()
	b.state.data[key] = value
}

// Data is a copy of all that was Set.
func (b *Build) Data() map[string]any {
	b.state.mu.Lock()
	defer b.state.mu.Unlock()
	return maps.Clone(b.state.data)
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

// Error shows a failure that is not returned, or is told before it is handled.
func (b *Build) Error(format string, args ...any) { b.emitText(EventError, format, args) }

func (b *Build) emitText(kind EventKind, format string, args []any) {
	text := format
	if len(args) > 0 {
		text = fmt.Sprintf(format, args...)
	}
	b.Emit(Event{Kind: kind, Text: text})
}
