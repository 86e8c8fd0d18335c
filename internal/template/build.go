package template

import (
	"time"

	"kiln"
)

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
