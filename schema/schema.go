// Package schema turns the tagged struct that a component is into everything
// that is known of its configuration: the decoding of HCL2 and of legacy JSON,
// defaults, checks, documentation and the editor's schema.
//
// A field has one tag, kiln:"name,option,...". The options:
//
//	default=X      value where the template says nothing; lists with |
//	required       must be set
//	oneof=a|b      the only values allowed
//	was=old        an earlier name that is still accepted
//	file           names local files or folders whose content matters
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
	"iter"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/hcl/v2"

	"kiln"
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

// Kind is the shape of a field's value.
type Kind int

// Kinds of fields.
const (
	String Kind = iota
	Number
	Bool
	Duration
	List     // of strings, numbers, or lists
	Map      // of strings
	Block    // nested struct
	BlockSet // repeated nested struct
)

// Field is one option of a component.
type Field struct {
	Name       string
	GoName     string
	Offer      string // name of the component that was offered with the field; "": none
	Type       reflect.Type
	Kind       Kind
	Was        []string
	Default    string
	HasDefault bool
	Required   bool
	File       bool
	Sensitive  bool
	Render     Render
	OneOf      []string
	Refused    string
	Elem       *Struct // of Block and BlockSet

	index   []int // for reflect.Value.FieldByIndex, in the component that was offered
	offered []int // where that is found, if it was offered
}

// In is where the field's value lives in v, a component's struct.
func (f *Field) In(v reflect.Value) reflect.Value {
	if f.Offer != "" {
		v = v.FieldByIndex(f.offered).MapIndex(reflect.ValueOf(f.Offer)).Elem().Elem()
	}
	return v.FieldByIndex(f.index)
}

// Struct is the configuration of one component or nested block.
type Struct struct {
	Type   reflect.Type
	Fields []*Field
	names  map[string]*Field // current and old names
	lower  map[string]*Field // the same in lower case
	body   *hcl.BodySchema   // what HCL2 bodies are read with
	offers [][]int           // fields that hold components which were offered
}

// shape is what the description of a struct depends on: its type, and the names and
// types of the components that were offered to the value.
type shape struct {
	t       reflect.Type
	offered string
}

var (
	cache        sync.Map // shape -> *Struct
	durationType = reflect.TypeFor[time.Duration]()
	secretType   = reflect.TypeFor[kiln.Secret]()
)

// Of describes the struct that v points to or is. It panics on a tag or type that
// it does not know: that is a mistake in the program, found by any test of the
// component.
func Of(v any) *Struct {
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer {
		if rv.IsNil() {
			return ofType(rv.Type().Elem())
		}
		rv = rv.Elem()
	}
	return of(rv)
}

// of describes a struct with what was offered to it.
func of(v reflect.Value) *Struct {
	s := ofType(v.Type())
	if len(s.offers) == 0 {
		return s
	}
	var b strings.Builder
	for _, at := range s.offers {
		for name, t := range offered(v.FieldByIndex(at)) {
			fmt.Fprintf(&b, "%s=%s.%s ", name, t.PkgPath(), t.Name())
		}
	}
	return describe(shape{v.Type(), b.String()}, v)
}

// ofType describes a struct to which nothing was offered.
func ofType(t reflect.Type) *Struct { return describe(shape{t: t}, reflect.Value{}) }

func describe(key shape, v reflect.Value) *Struct {
	if s, ok := cache.Load(key); ok {
		return s.(*Struct)
	}
	s := &Struct{Type: key.t, names: map[string]*Field{}, lower: map[string]*Field{}}
	s.collect(key.t, v, nil)
	for _, f := range s.Fields {
		for _, n := range append([]string{f.Name}, f.Was...) {
			if s.names[n] != nil {
				panic(fmt.Sprintf("schema: %v has two fields named %s", key.t, n))
			}
			s.names[n], s.lower[strings.ToLower(n)] = f, f
		}
	}
	s.body = &hcl.BodySchema{}
	for name, f := range s.names {
		if f.Kind == Block || f.Kind == BlockSet {
			s.body.Blocks = append(s.body.Blocks, hcl.BlockHeaderSchema{Type: name})
		} else {
			s.body.Attributes = append(s.body.Attributes, hcl.AttributeSchema{Name: name})
		}
	}
	actual, _ := cache.LoadOrStore(key, s)
	return actual.(*Struct)
}

// offered are the types of the components in a field that holds offered ones, by
// name and in the order of the names.
func offered(field reflect.Value) iter.Seq2[string, reflect.Type] {
	names := field.MapKeys()
	slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return func(yield func(string, reflect.Type) bool) {
		for _, name := range names {
			if !yield(name.String(), field.MapIndex(name).Elem().Type().Elem()) {
				return
			}
		}
	}
}

// collect adds the fields of a struct type. V is the whole value that is described,
// or none.
func (s *Struct) collect(t reflect.Type, v reflect.Value, index []int) {
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, ok := sf.Tag.Lookup("kiln")
		if !ok || tag == "-" {
			continue
		}
		at := append(append([]int(nil), index...), i)
		switch tag {
		case ",squash":
			s.collect(sf.Type, v, at)
			continue
		case ",offered":
			s.offers = append(s.offers, at)
			s.collectOffered(v, at)
			continue
		}
		f := &Field{GoName: sf.Name, index: at, Type: sf.Type, Render: RenderPrepare}
		f.parseTag(t, tag)
		f.setKind(t)
		s.Fields = append(s.Fields, f)
	}
}

func (s *Struct) collectOffered(v reflect.Value, at []int) {
	if !v.IsValid() {
		return
	}
	for name, t := range offered(v.FieldByIndex(at)) {
		before := len(s.Fields)
		s.collect(t, reflect.Value{}, nil)
		for _, f := range s.Fields[before:] {
			f.Offer, f.offered = name, at
		}
	}
}

func (f *Field) parseTag(t reflect.Type, tag string) {
	name, rest, _ := strings.Cut(tag, ",")
	f.Name = name
	for rest != "" {
		if why, ok := strings.CutPrefix(rest, "refused="); ok {
			f.Refused = why
			return
		}
		var opt string
		opt, rest, _ = strings.Cut(rest, ",")
		key, val, _ := strings.Cut(opt, "=")
		switch key {
		case "default":
			f.Default, f.HasDefault = val, true
		case "required":
			f.Required = true
		case "oneof":
			f.OneOf = strings.Split(val, "|")
		case "was":
			f.Was = append(f.Was, val)
		case "file":
			f.File = true
		case "sensitive":
			f.Sensitive = true
		case "render":
			f.Render = Render(val)
		default:
			panic(fmt.Sprintf("schema: %v.%s: unknown option %q in its tag", t, f.GoName, opt))
		}
	}
}

func (f *Field) setKind(t reflect.Type) {
	ft := f.Type
	if ft.Kind() == reflect.Pointer {
		ft = ft.Elem()
	}
	switch {
	case ft == durationType:
		f.Kind = Duration
	case ft.Kind() == reflect.String:
		f.Kind = String
		f.Sensitive = f.Sensitive || ft == secretType
	case ft.Kind() == reflect.Bool:
		f.Kind = Bool
	case ft.Kind() >= reflect.Int && ft.Kind() <= reflect.Float64:
		f.Kind = Number
	case ft.Kind() == reflect.Map && ft.Key().Kind() == reflect.String && ft.Elem().Kind() == reflect.String:
		f.Kind = Map
	case ft.Kind() == reflect.Struct:
		f.Kind, f.Elem = Block, ofType(ft)
	case ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.Struct:
		f.Kind, f.Elem = BlockSet, ofType(ft.Elem())
	case ft.Kind() == reflect.Slice:
		f.Kind = List
	default:
		panic(fmt.Sprintf("schema: %v.%s: no configuration can have type %v", t, f.GoName, f.Type))
	}
}

// Offers are the names of the components that were offered with their fields.
func (s *Struct) Offers() []string {
	var names []string
	for _, f := range s.Fields {
		if f.Offer != "" && !slices.Contains(names, f.Offer) {
			names = append(names, f.Offer)
		}
	}
	return names
}

// Field finds a field by its present or an earlier name, exactly.
func (s *Struct) Field(name string) *Field { return s.names[name] }

// FieldFold finds a field by name in any letter case, the exact case first.
func (s *Struct) FieldFold(name string) *Field {
	if f := s.names[name]; f != nil {
		return f
	}
	return s.lower[strings.ToLower(name)]
}

// TypeName is how the field's type is written in documentation.
func (f *Field) TypeName() string {
	switch f.Kind {
	case String:
		return "string"
	case Number:
		return "number"
	case Bool:
		return "bool"
	case Duration:
		return "duration"
	case Map:
		return "map of string"
	case Block:
		return "block"
	case BlockSet:
		return "blocks"
	}
	return "list of " + elemName(f.Type.Elem())
}

func elemName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "lists of " + elemName(t.Elem())
	case reflect.String:
		return "string"
	}
	return "number"
}
