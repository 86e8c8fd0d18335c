package kiln

import "context"

// A Builder makes one machine. The value holds configuration only: it is
// written by decoding and never after, so that one value can serve several runs.
//
// Start brings the machine up. What it makes outside the process it owns
// through b before making it; when it returns an error, the caller closes b,
// which destroys what was made so far.
type Builder interface {
	Start(ctx context.Context, b *Build) (Machine, error)
}

// A Booter is a builder that can start a machine from an artifact of its kind: what tests an
// image, and what looks at one, works on such a machine. It needs no more of the builder's
// configuration than how to connect; where that does not say, it is as usual.
type Booter interface {
	// Boot starts a machine from an artifact, on top of it: nothing that happens in the
	// machine changes the artifact, or anything that it is made of. All that Boot makes it
	// owns through b, and closing b ends the machine and leaves nothing of it. An artifact
	// that is not there any more is ErrNotFound, one that no machine can be started from is
	// ErrInvalid.
	Boot(ctx context.Context, b *Build, from *Artifact) (Booted, error)
}

// A Provisioner changes a machine through its communicator. It returns when the
// change is complete. Running it a second time after a failure must be safe.
type Provisioner interface {
	Provision(ctx context.Context, b *Build, c Communicator) error
}

// A PostProcessor turns an artifact into another, or uses it and returns it
// unchanged. A nil artifact without an error ends the chain.
type PostProcessor interface {
	Process(ctx context.Context, b *Build, in *Artifact) (*Artifact, error)
}

// A DataSource reads a value from outside, once a run. The result is a struct
// with kiln tags, or a map.
type DataSource interface {
	Read(ctx context.Context) (any, error)
}

// A Validator is a component that can tell what is wrong with its
// configuration. It reports every problem at once, joined with [errors.Join],
// each a [*FieldError] where one field is to blame; one with Caution is a warning only.
// It has no side effects, except that it may fill in defaults which depend on other
// fields.
type Validator interface {
	Validate() error
}

// Keep says what happens to a post-processor's input artifact.
type Keep struct {
	Default bool // keep the input when the template does not say
	Forced  bool // the template may not turn a default of true off
}

// A Keeper is a post-processor for which it depends on its input what happens to that: of
// some kinds of artifact what it makes is no more than a reference. The Keep of its Traits is what holds
// for most.
type Keeper interface {
	KeepOf(in *Artifact) Keep
}

// Traits are facts about a component that others plan with. The zero value is what
// holds for a component that says nothing.
type Traits struct {
	// Outside: the effect of a provisioner is, or may be, outside the machine, so that
	// it runs even where a kept layer already holds the state after it.
	Outside bool
	// NoScript: a provisioner gives the machine none of [Build.GuestVars], so that its
	// effect does not depend on them.
	NoScript bool
	// ReapsAlone: what a Reaper needs is all in the resources that it is given, and what a
	// LayerStore needs in the environment, so that both may be asked without their
	// configuration.
	ReapsAlone bool
	// GivesOwners: the machines of a builder are given uploaded files with the owners that
	// they have here.
	GivesOwners bool
	// Keep: what happens to a post-processor's input. By default it is destroyed.
	Keep Keep
	// Generates: the keys that a builder Sets beside those that all builders do.
	Generates []string
	// Shape: a value of the type that a data source gives; what is in it does not
	// matter. With it, what uses the data source can be checked before it is read.
	Shape any
}

// A Describer is a component with Traits.
type Describer interface {
	Traits() Traits
}

// TraitsOf are the traits of any component.
func TraitsOf(component any) Traits {
	if d, ok := component.(Describer); ok {
		return d.Traits()
	}
	return Traits{}
}

// A Reaper is a component that makes things outside the process. It is asked by
// the build itself, and by the clean-up command in another process than the one that
// made them. It is configured as it was when it made them, unless its Traits say that it
// needs no configuration.
type Reaper interface {
	// Reap destroys r. That r does not exist is success; another thing of its name is
	// left alone, which is ErrReplaced; what nobody can get at from here is
	// ErrOutOfReach.
	Reap(ctx context.Context, r Resource) error
	// Owned finds what a run made and the journal may not name, for the crash
	// between the call that makes a thing and its answer. The example is a
	// resource of the same run, whose Attrs tell where to look.
	Owned(ctx context.Context, run string, example Resource) ([]Resource, error)
}

// Components is the one list of what a program can build with. The keys are the
// type names that a template uses. Each function returns a new zero component,
// a pointer to a struct with kiln tags.
type Components struct {
	Builders       map[string]func() Builder
	Communicators  map[string]func() Connector
	Provisioners   map[string]func() Provisioner
	PostProcessors map[string]func() PostProcessor
	DataSources    map[string]func() DataSource
}

// NewBuilder returns a new builder, with a connector of every communicator in it
// where it connects to its machine; nil: none has this name.
func (c Components) NewBuilder(name string) Builder {
	newBuilder := c.Builders[name]
	if newBuilder == nil {
		return nil
	}
	b := newBuilder()
	if o, ok := b.(interface{ Offer(map[string]Connector) }); ok {
		connectors := map[string]Connector{}
		for name, newConnector := range c.Communicators {
			connectors[name] = newConnector()
		}
		o.Offer(connectors)
	}
	return b
}
