package template

import (
	"slices"
	"sync"
	"time"

	"kiln"
	"kiln/schema"
)

// Build is one image to make: a source with its provisioners and
// post-processors, not yet decoded.
type Build struct {
	Name   string // full name, as shown and as -only matches it
	Key    string // tells builds of one name apart: the name, and a number behind all but the first
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

// Component is one configured part of a build.
type Component struct {
	Kind string // builder, provisioner, post-processor
	Type string
	Name string // label for people; may be empty
	File string // where it is declared
	Line int

	decoding *decoding
	mu       sync.Mutex
	first    *decoded // nil: not decoded yet
	latest   *decoded // the first, or what was decoded after more was known
}

// Unknown is an option whose value is not known before the build runs.
type Unknown struct {
	Option string   `json:"option"`
	From   []string `json:"from,omitempty"` // what it refers to that is not known
	File   string   `json:"file"`
	Line   int      `json:"line"`
	Text   string   `json:"-"` // its expression, as the template has it; may be empty
	Given  string   `json:"-"` // the values that it refers to and that are known; never shown
}

// Decode is the component's value, with what is wrong with it. It is decoded and
// validated once; where options were not known then, they are decoded again over a
// copy when more is known. Data is what the build generated so far; nil means that
// nothing is known yet, as when a template is only checked. The value must not be
// written to.
func (c *Component) Decode(data map[string]any) (any, Diagnostics) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if data == nil {
		now := c.now()
		return now.value, now.diags
	}
	now := c.once()
	if len(now.unknown) > 0 && !now.diags.HasErrors() {
		now = c.decoding.again(now, data)
	}
	return now.value, now.diags
}

// Settings are the options of the component as far as they are known, in a form that
// JSON can show. What is secret, or made of a secret, is masked.
func (c *Component) Settings() map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	return schema.Settings(now.value, now.secret)
}

// once is what was known at first.
func (c *Component) once() *decoded {
	if c.first == nil {
		c.first = c.decoding.first()
		c.latest = c.first
	}
	return c.first
}

// now is what is known without the build's data: artifacts of other builds may have
// become known since the first time.
func (c *Component) now() *decoded {
	first := c.once()
	if len(c.latest.unknown) > 0 && !first.diags.HasErrors() &&
		c.latest.learned != c.decoding.maker.spec.Scope.Learned(c.decoding.Step) {
		c.latest = c.decoding.again(first, nil)
	}
	return c.latest
}

// Unknown lists the options that are not known before the build runs: their values
// are not, or their {{ }} text needs what the build generates.
func (c *Component) Unknown() []Unknown {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now().unknown
}

// Provisioner is a provisioner with what the template says around it.
type Provisioner struct {
	*Component
	PauseBefore     time.Duration
	Timeout         time.Duration
	MaxRetries      int
	ContinueOnError bool
	// Kiln's own.
	NoCache     bool          // cache = false: its effect is never kept as a layer
	AlwaysCache bool          // cache = true: it is kept, whatever that costs
	CacheMaxAge time.Duration // how old its effect may be in a layer; 0: as for all
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

// Components are all components of the build, in the order in which they run. In a build
// that cannot be made they are those that there are.
func (b *Build) Components() (all []*Component) {
	defer func() { all = slices.DeleteFunc(all, func(c *Component) bool { return c == nil }) }()
	all = []*Component{b.Builder}
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
