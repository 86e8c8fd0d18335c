package template

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"kiln"
	"kiln/internal/template/interpolate"
	"kiln/schema"
)

// Spec is what a template asks for, as the parser of its language read it. The
// assembler makes Builds of it.
type Spec struct {
	Builds []*BuildSpec // in the order in which they are listed
	Globs  bool         // -only and -except are patterns; otherwise exact names
	Whole  bool         // an error in one build is one of the whole template
	Weak   bool         // bodies are decoded as legacy JSON is
	Open   bool         // there may be more builds, whose names are not known yet
}

// BuildSpec is a build that a template has, whether it is selected or not.
type BuildSpec struct {
	Name   string // full name
	Source string // see Build
	Alias  string
	Select string // what -only and -except match
	Only   string // what only and except of a step name it by
	Own    string // what override of a step names it by

	Builder *Step // nil: its source does not exist, and the rest is only checked
	Steps   []*Step
	Cleanup *Step // nil: none
	Chains  [][]*Step

	Scope   Scope
	Publish func(*kiln.Artifact) // see Build
	Range   hcl.Range            // of its block

	key string // see Build
}

// tellApart gives builds their keys. Two of one name are both made, and a warning says so.
func (s *Spec) tellApart() (diags hcl.Diagnostics) {
	first := map[string]*BuildSpec{}
	count := map[string]int{}
	for _, b := range s.Builds {
		b.key = b.Name
		if count[b.Name]++; count[b.Name] == 1 {
			first[b.Name] = b
			continue
		}
		b.key = fmt.Sprintf("%s#%d", b.Name, count[b.Name])
		if count[b.Name] == 2 && b.Builder != nil {
			diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagWarning, Subject: b.Range.Ptr(),
				Summary: fmt.Sprintf("Several builds are called %s", b.Name),
				Detail: fmt.Sprintf("The first is declared at %s:%d. All are made, and all output is under the "+
					"one name: a name in each build block tells them apart.", first[b.Name].Range.Filename,
					first[b.Name].Range.Start.Line)})
		}
	}
	return diags
}

// The kinds of components that builds have, as messages spell them.
const (
	KindBuilder       = "builder"
	KindProvisioner   = "provisioner"
	KindPostProcessor = "post-processor"
)

// Step is a component as a template configures it, with what is said around it.
type Step struct {
	Kind      string
	Block     string    // block type or key that it is in
	Type      string    // of the component
	Written   string    // its type as the template spells it
	TypeRange hcl.Range // where it stands
	Where     string    // legacy JSON: "provisioner 2", for messages
	Body      hcl.Body  // for schema.Decoder
	Range     hcl.Range // of the block
	// Skip reports whether a name in the body is not the component's. Nil: all are.
	Skip func(name string) bool
	// Of is for the Scope: whose values the body may refer to.
	Of any

	// What Attributes says.
	Name            string
	Only, Except    Names
	Override        Overrides
	PauseBefore     time.Duration
	Timeout         time.Duration
	MaxRetries      Count
	ContinueOnError *bool
	Cache           *bool
	CacheMaxAge     time.Duration
	Keep            *bool
}

// Names are names of builds, with the places where they stand.
type Names map[string]hcl.Range

// Overrides are options for single builds, by the names of these.
type Overrides map[string]Override

// Override are options for one build: an object.
type Override struct {
	Value cty.Value
	Range hcl.Range
	Key   hcl.Range // of the build's name
}

// Count is a number, or {{ }} text that gives one.
type Count struct {
	N     int
	Text  string
	Range hcl.Range
}

// On says which kinds of steps have an attribute.
type On int

// Kinds of steps.
const (
	OnProvisioner On = 1 << iota
	OnPostProcessor
	OnBoth = OnProvisioner | OnPostProcessor
)

// Attribute is something that a template says around a step, beside the options of
// its component.
type Attribute struct {
	Name string
	HCL2 On // the steps that have it in each language
	JSON On
	Own  bool // Kiln's own: Packer does not know it
	// Field is where the value goes. Its type is the attribute's: *string, *Names,
	// *Overrides, *time.Duration, *Count or **bool.
	Field func(s *Step) any
	Doc   string
}

// Attributes are all attributes of steps. Both parsers read by this table.
var Attributes = []Attribute{
	{"name", OnBoth, OnPostProcessor, false, func(s *Step) any { return &s.Name },
		"A name for the step, in output and for -only and -except."},
	{"only", OnBoth, OnBoth, false, func(s *Step) any { return &s.Only },
		"Names of the builds that it runs in; in no others."},
	{"except", OnBoth, OnBoth, false, func(s *Step) any { return &s.Except },
		"Names of the builds that it does not run in."},
	{"override", OnProvisioner, OnProvisioner, false, func(s *Step) any { return &s.Override },
		"Other values of its options for single builds, by the builds' names."},
	{"pause_before", OnProvisioner, OnProvisioner, false, func(s *Step) any { return &s.PauseBefore },
		"How long to wait before it."},
	{"timeout", OnProvisioner, OnProvisioner, false, func(s *Step) any { return &s.Timeout },
		"It has failed when it takes longer than this."},
	{"max_retries", OnProvisioner, OnProvisioner, false, func(s *Step) any { return &s.MaxRetries },
		"How often it is tried again after a failure."},
	{"continue_on_error", OnProvisioner, 0, false, func(s *Step) any { return &s.ContinueOnError },
		"The build goes on when it fails."},
	{"cache", OnProvisioner, OnProvisioner, true, func(s *Step) any { return &s.Cache },
		"false: it always runs, and no layer is kept from it on. true: a layer is kept after it, worth it or not."},
	{"cache_max_age", OnProvisioner, OnProvisioner, true, func(s *Step) any { return &s.CacheMaxAge },
		"No layer is used in which it ran longer ago than this, such as 12h."},
	{"keep_input_artifact", OnPostProcessor, OnPostProcessor, false, func(s *Step) any { return &s.Keep },
		"Keep what it was given beside what it makes. What is the default depends on the post-processor."},
}

// Check says what is wrong with a duration that an attribute has.
func (a Attribute) Check(d time.Duration) error {
	if a.Name == "cache_max_age" && d <= 0 {
		return errors.New("a time above zero is required, such as \"12h\"; with cache = false the step always runs")
	}
	return nil
}

// AttributesOf are the attributes that a kind of step has in a language.
func AttributesOf(f Format, on On) []Attribute {
	return slices.DeleteFunc(slices.Clone(Attributes), func(a Attribute) bool {
		if f == HCL2 {
			return a.HCL2&on == 0
		}
		return a.JSON&on == 0
	})
}

// called is the name by which -except knows the step.
func (s *Step) called() string { return cmp.Or(s.Name, s.Written) }

// Around describes the attributes that a kind of step has in either language, as options
// beside those of its component.
func Around(on On) []*schema.Field {
	types := func(to any) schema.Type {
		text := &schema.Type{Kind: schema.String}
		switch to.(type) {
		case *Names:
			return schema.Type{Kind: schema.List, Item: text}
		case *Overrides:
			return schema.Type{Kind: schema.Map, Item: &schema.Type{Kind: schema.Map, Item: text}}
		case *time.Duration:
			return schema.Type{Kind: schema.Duration}
		case *Count:
			return schema.Type{Kind: schema.Integer}
		case **bool:
			return schema.Type{Kind: schema.Bool}
		}
		return *text
	}
	var all []*schema.Field
	for _, a := range Attributes {
		if (a.HCL2|a.JSON)&on == 0 {
			continue
		}
		f := &schema.Field{Name: a.Name, Type: types(a.Field(new(Step))), Doc: a.Doc}
		if a.JSON&on == 0 {
			f.Doc += " In HCL2 only."
		}
		all = append(all, f)
	}
	return all
}

// near are the names of what may stand around the options of a step, for suggestions.
func (s *Step) near(f Format) (names []string) {
	on := map[string]On{KindProvisioner: OnProvisioner, KindPostProcessor: OnPostProcessor}[s.Kind]
	for _, a := range AttributesOf(f, on) {
		names = append(names, a.Name)
	}
	return names
}

// runsFor reports whether a step belongs to a build.
func (s *Step) runsFor(b *BuildSpec) bool {
	if len(s.Only) > 0 {
		_, is := s.Only[b.Only]
		return is
	}
	_, not := s.Except[b.Only]
	return !not
}

// Scope is what the text of one build may refer to, in its template's language.
// Keys are the names of the values that the build generates; data are the values so
// far, nil where nothing is known yet.
type Scope interface {
	// Open is the body of a step as it is decoded, and what its expressions see.
	Open(s *Step, keys []string, data map[string]any) (hcl.Body, *hcl.EvalContext)
	// Text is what {{ }} text of a step may use, in its first rendering and in that
	// with the build's data.
	Text(s *Step, keys []string) (first, second *interpolate.Context)
	// Render renders text while the build runs.
	Render(text string, vars map[string]any) (string, error)
	// Needs lists the builds whose artifacts the step refers to.
	Needs(s *Step, keys []string) ([]string, hcl.Diagnostics)
	// Learned counts what became known of other builds that the step may refer to.
	Learned(s *Step) int
	// Unknown is the diagnostic of a type that no component has.
	Unknown(s *Step, known []string) *hcl.Diagnostic
	// Explain says around what is wrong with a component which one it is.
	Explain(s *Step, diags hcl.Diagnostics) hcl.Diagnostics
}

// Describe is a build block, for inspect.
func Describe(name, description string, sources []Named, steps []*Step, cleanup *Step,
	chains [][]*Step) Block {
	named := func(steps []*Step) (names []Named) {
		for _, s := range steps {
			names = append(names, Named{s.Written, s.Name})
		}
		return names
	}
	b := Block{Name: name, Description: description, Sources: sources, Provisioners: named(steps)}
	if cleanup != nil {
		b.Cleanup = &named([]*Step{cleanup})[0]
	}
	for _, chain := range chains {
		b.Chains = append(b.Chains, named(chain))
	}
	return b
}
