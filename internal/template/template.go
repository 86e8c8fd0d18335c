// Package template reads a team's template, HCL2 or legacy JSON, into one model
// that says which builds there are and how each of their components is
// configured. Nothing behind it can tell which format it was.
package template

import (
	"context"
	"io"
	"time"

	"kiln"
	"kiln/internal/template/interpolate"
)

// Options says what to load and with which values.
type Options struct {
	Path       string    // a file, a folder of HCL2 files, or "-" for legacy JSON on Stdin
	Stdin      io.Reader // read for "-"
	Name       string    // what "-" is called in messages; default <stdin>
	ConfigType string    // "json" or "hcl2", where the path does not decide; default json
	Vars       []string  // "name=value" of -var, in order
	VarFiles   []string  // of -var-file, in order
	Only       []string  // selection of builds, see docs/compat/templates.md 3.9
	Except     []string
	Environ    []string // as of os.Environ

	WarnUndeclared bool // warn of names in var-files that no variable declares
	Thorough       bool // if loading fails, look for all that is wrong behind it too
	Sequential     bool // evaluate data sources before locals, as before Packer 1.12
	EvaluateData   bool // run data sources; otherwise their values stay unknown
	Force          bool
	Debug          bool
	OnError        string

	Components    kiln.Components
	PackerVersion string    // the version that templates see and ask for
	KilnVersion   string    // Kiln's own
	Start         time.Time // of the program, for timestamp and isotime
	Hide          func(secret string)
	Secrets       interpolate.Secrets // nil: vault and its like are refused
}

// Template is a loaded template: everything that can be known without looking at
// components.
type Template struct {
	Path        string // as it was given
	Dir         string // its folder, as given: "." stays "."
	Format      Format
	Description string
	Sources     []SourceFile // what was read, for excerpts and for layer keys

	Variables []Variable
	Locals    []Local
	Blocks    []Block // build blocks as they are declared, for inspect
	Plugins   []Plugin

	load loader
}

// Format is the language of a template.
type Format string

// The two languages.
const (
	JSON Format = "json"
	HCL2 Format = "hcl2"
)

// SourceFile is a file that was read.
type SourceFile struct {
	Name string
	Text []byte
}

// Plugin is an entry of a required_plugins block.
type Plugin struct {
	Accessor string // prefix of its components' types in this template
	Source   string // host/owner/name
	Version  string // constraint
}

// Variable is an input of the template, for inspect.
type Variable struct {
	Name        string
	Description string
	Required    bool   // has no default
	Default     string // as it is written in the template, for legacy JSON
	Value       string // as inspect shows it: quoted, <unknown>, <sensitive>
	JSON        []byte // the value; nil: it is not known
	Sensitive   bool
}

// Local is a computed value, for inspect.
type Local struct {
	Name      string
	Value     string // as inspect shows it
	JSON      []byte // the value; nil: it is not known
	Sensitive bool
}

// Block is a build block as declared; legacy JSON has one.
type Block struct {
	Name         string
	Description  string
	Sources      []Named // type and name (the alias where there is one)
	Provisioners []Named
	Cleanup      *Named
	Chains       [][]Named // post-processors
}

// Named is a component with the name the template gives it.
type Named struct{ Type, Name string }

// loader is what each format does for a Template.
type loader interface {
	builds(ctx context.Context) ([]*Build, Diagnostics)
	validate() Diagnostics
	eval(line string) (string, Diagnostics)
	dump() string
	words() []string
}

// Build is one image to make: a source with its provisioners and
// post-processors, not yet decoded.
type Build struct {
	Name   string // full name, as shown and as -only matches it
	Source string // PACKER_BUILD_NAME: the source's or builder's own name
	Alias  string // HCL2: name given in the build block; JSON: the interpolated name

	// Needs are the full names of the builds whose artifacts this one stands on. They
	// are made first, and Published.
	Needs []string
	// Publish tells the others what this build made; nil: none can refer to it.
	Publish func(*kiln.Artifact)

	Builder      *Component
	Provisioners []*Provisioner
	Cleanup      *Provisioner       // error-cleanup-provisioner; nil: none
	Chains       [][]*PostProcessor // post-processors, already cut by -except

	// Render renders {{ }} text with vars and data as dot, for components and
	// fields that render while they run.
	Render func(text string, vars map[string]any) (string, error)
}

// Component is one configured part of a build. Its body can be decoded as often
// as is wanted, each time into a new value.
type Component struct {
	Kind string // builder, provisioner, post-processor
	Type string
	Name string // label for people; may be empty
	File string // where it is declared
	Line int

	decode  func(data map[string]any) (any, []Unknown, Diagnostics)
	unknown []Unknown // of the last Decode with nothing known
	decoded bool      // there was one
}

// Unknown is an option whose value is not known before the build runs.
type Unknown struct {
	Option string   `json:"option"`
	From   []string `json:"from,omitempty"` // what it refers to that is not known
	File   string   `json:"file"`
	Line   int      `json:"line"`
}

// Decode makes a new component value and validates it. Data is what the build
// generated so far; nil means that nothing is known yet, as when a template is
// only checked.
func (c *Component) Decode(data map[string]any) (any, Diagnostics) {
	component, unknown, diags := c.decode(data)
	if data == nil {
		c.unknown, c.decoded = unknown, true
	}
	return component, diags
}

// Unknown lists the options whose values were not known at the last Decode with nil.
func (c *Component) Unknown() []Unknown {
	if !c.decoded {
		c.Decode(nil)
	}
	return c.unknown
}

// Provisioner is a provisioner with what the template says around it.
type Provisioner struct {
	*Component
	PauseBefore     time.Duration
	Timeout         time.Duration
	MaxRetries      int
	ContinueOnError bool
	NoCache         bool // cache = false: its effect is never kept as a layer (Kiln's own)
}

// PostProcessor is a post-processor with what the template says around it.
type PostProcessor struct {
	*Component
	Keep *bool // keep_input_artifact; nil: not said
}

// Check decodes every component of the build with nothing known and returns all
// that is wrong with them.
func (b *Build) Check() Diagnostics {
	var diags Diagnostics
	for _, c := range b.Components() {
		_, more := c.Decode(nil)
		diags = append(diags, more...)
	}
	return diags
}

// Components are all components of the build, in the order in which they run.
func (b *Build) Components() []*Component {
	all := []*Component{b.Builder}
	for _, p := range b.Provisioners {
		all = append(all, p.Component)
	}
	if b.Cleanup != nil {
		all = append(all, b.Cleanup.Component)
	}
	for _, chain := range b.Chains {
		for _, p := range chain {
			all = append(all, p.Component)
		}
	}
	return all
}

// Validate checks what can be told without values: names that blocks give each
// other, versions.
func (t *Template) Validate() Diagnostics { return t.load.validate() }

// Builds resolves variables, locals and data sources and lists the builds that
// were selected, in order. A build that cannot be made is a diagnostic.
func (t *Template) Builds(ctx context.Context) ([]*Build, Diagnostics) { return t.load.builds(ctx) }
