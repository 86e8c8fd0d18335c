// Package schema turns the description of a configuration into everything that is
// known of it: the decoding of HCL2 and of legacy JSON, defaults, checks,
// documentation and the schema for editors.
//
// A [Block] is the description. That of a component is read from the tagged struct
// that the component is; one that is only known at run time, such as a plugin's, is
// put together by [NewBlock]. The values of the one live in its struct, those of the
// other in a [Record].
//
// A field of a struct has one tag, kiln:"name,option,...". The options:
//
//	default=X      value where the template says nothing; lists with |
//	required       must be set
//	oneof=a|b      the only values allowed
//	was=old        an earlier name that is still accepted
//	file           names local files or folders whose content matters
//	file=glob      the same, and wildcards may stand in the names
//	origin         says what a machine starts from, whose identity counts in its place
//	late           is used only after the machine is done
//	sensitive      the value is hidden in every sink
//	render=MODE    when {{ }} is rendered: prepare (default), both, run, none
//	refused=WHY    setting it is an error with this reason; always last
//
// kiln:",squash" puts the fields of an embedded struct on the same level, and
// kiln:",offered" those of every component in a map from names to pointers to
// structs, so that what they are called is known from the value only.
// Nested blocks are struct or pointer fields, repeated blocks slices of structs.
package schema

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Render tells when the {{ }} text of a field is rendered.
type Render string

// Modes of rendering.
const (
	RenderPrepare Render = "prepare" // once, at decoding
	RenderBoth    Render = "both"    // at decoding, and again with the build's data before running
	RenderRun     Render = "run"     // by the component itself, while it runs
	RenderNone    Render = "none"    // never
)

// Kind is the shape of a value.
type Kind int

// Kinds of values.
const (
	String Kind = iota
	Number
	Integer
	Bool
	Duration
	List
	Map      // from strings
	Single   // a nested block
	Repeated // nested blocks, any number
)

// Type is what a field holds.
type Type struct {
	Kind  Kind
	Item  *Type  // of List and Map
	Block *Block // of Single and Repeated
}

// Field is one option of a block.
type Field struct {
	Name string
	Type
	Nullable   bool // being unset is not the same as the zero value
	Doc        string
	Was        []string
	Default    string
	HasDefault bool
	Required   bool
	File       bool
	Glob       bool // wildcards may stand in the names of the files
	Sensitive  bool
	Origin     bool // names the source, whose identity stands for it in layer keys
	Late       bool // used only after the machine is done: no part of layer keys
	Render     Render
	OneOf      []string
	Refused    string
	Offer      string // name of the component that was offered with the field; "": none

	initial cty.Value // the default; NilVal: none
}

// Block describes the configuration of one component, or a nested block.
type Block struct {
	Fields []*Field
	names  map[string]*Field // current and old names
	lower  map[string]*Field // the same in lower case
	body   *hcl.BodySchema   // what HCL2 bodies are read with
}

// NewBlock describes a block by its fields. It is an error if two have the same
// name, or one has no type or a default that it cannot hold.
func NewBlock(fields ...*Field) (*Block, error) {
	b := &Block{Fields: fields, names: map[string]*Field{}, lower: map[string]*Field{}, body: &hcl.BodySchema{}}
	for _, f := range fields {
		if err := f.complete(); err != nil {
			return nil, err
		}
		for _, n := range append([]string{f.Name}, f.Was...) {
			if b.names[n] != nil {
				return nil, fmt.Errorf("two fields are named %q", n)
			}
			b.names[n], b.lower[strings.ToLower(n)] = f, f
			if f.Block != nil {
				b.body.Blocks = append(b.body.Blocks, hcl.BlockHeaderSchema{Type: n})
			} else {
				b.body.Attributes = append(b.body.Attributes, hcl.AttributeSchema{Name: n})
			}
		}
	}
	return b, nil
}

// complete checks a field, and fills in what follows from the rest of it.
func (f *Field) complete() error {
	if f.Name == "" {
		return fmt.Errorf("a field has no name")
	}
	if err := f.check(); err != nil {
		return fmt.Errorf("field %s: %w", f.Name, err)
	}
	if f.Render == "" {
		f.Render = RenderPrepare
	}
	if !f.HasDefault {
		return nil
	}
	text := cty.StringVal(f.Default)
	if f.Kind == List {
		var items []cty.Value
		for part := range strings.SplitSeq(f.Default, "|") {
			items = append(items, cty.StringVal(part))
		}
		text = cty.TupleVal(items)
	}
	var err error
	if f.initial, err = f.convert(text, cty.NilVal, true); err != nil {
		return fmt.Errorf("field %s: bad default: %w", f.Name, err)
	}
	return nil
}

// check reports a type that is not whole.
func (t *Type) check() error {
	collection, block := t.Kind == List || t.Kind == Map, t.Kind == Single || t.Kind == Repeated
	if collection != (t.Item != nil) || block != (t.Block != nil) {
		return fmt.Errorf("lists and maps have a type of items, and blocks alone a description")
	}
	if t.Item == nil {
		return nil
	}
	if t.Item.Block != nil {
		return fmt.Errorf("no list or map holds blocks")
	}
	return t.Item.check()
}

// Field finds a field by its present or an earlier name, exactly.
func (b *Block) Field(name string) *Field { return b.names[name] }

// FieldFold finds a field by name in any letter case, the exact case first.
func (b *Block) FieldFold(name string) *Field {
	if f := b.names[name]; f != nil {
		return f
	}
	return b.lower[strings.ToLower(name)]
}

// Names are the present names of all fields, sorted.
func (b *Block) Names() []string {
	var names []string
	for _, f := range b.Fields {
		names = append(names, f.Name)
	}
	sort.Strings(names)
	return names
}

// Offers are the names of the components that were offered with their fields.
func (b *Block) Offers() []string {
	var names []string
	for _, f := range b.Fields {
		if f.Offer != "" && !slices.Contains(names, f.Offer) {
			names = append(names, f.Offer)
		}
	}
	return names
}

// TypeName is how the type is written in documentation.
func (t *Type) TypeName() string {
	switch t.Kind {
	case String:
		return "string"
	case Bool:
		return "bool"
	case Duration:
		return "duration"
	case List:
		return "list of " + t.Item.plural()
	case Map:
		return "map of " + t.Item.plural()
	case Single:
		return "block"
	case Repeated:
		return "blocks"
	}
	return "number"
}

// plural is the type's name as that of a list's items.
func (t *Type) plural() string {
	switch t.Kind {
	case List:
		return "lists of " + t.Item.plural()
	case Map:
		return "maps of " + t.Item.plural()
	}
	return t.TypeName()
}
