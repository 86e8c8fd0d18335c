package schema

import (
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zclconf/go-cty/cty"

	"kiln"
)

// binding ties a block to the Go struct that it was read from.
type binding struct {
	*Block
	places map[*Field]place
	offers [][]int // fields that hold components which were offered
}

// place is where the value of a field lives in a struct.
type place struct {
	index   []int    // for reflect.Value.FieldByIndex, in the component that was offered
	offered []int    // where that is found, if it was offered
	elem    *binding // of nested blocks
}

func (p place) in(v reflect.Value, f *Field) reflect.Value {
	if f.Offer != "" {
		v = v.FieldByIndex(p.offered).MapIndex(reflect.ValueOf(f.Offer)).Elem().Elem()
	}
	return v.FieldByIndex(p.index)
}

// shape is what the description of a struct depends on: its type, and the names and
// types of the components that were offered to the value.
type shape struct {
	t       reflect.Type
	offered string
}

var (
	cache        sync.Map // shape -> *binding
	durationType = reflect.TypeFor[time.Duration]()
	secretType   = reflect.TypeFor[kiln.Secret]()
)

// Of describes the struct that v points to or is, or the block of a [*Record]. It
// panics on a tag or type that it does not know: that is a mistake in the program,
// found by any test of the component.
func Of(v any) *Block {
	if r, ok := v.(*Record); ok {
		return r.Block
	}
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer {
		if rv.IsNil() {
			return bindType(rv.Type().Elem()).Block
		}
		rv = rv.Elem()
	}
	return bind(rv).Block
}

// Place is where the value of a field of [Of] lives in a component that is a struct.
func Place(component any, f *Field) reflect.Value {
	v := reflect.Indirect(reflect.ValueOf(component))
	return bind(v).places[f].in(v, f)
}

// bind describes a struct with what was offered to it.
func bind(v reflect.Value) *binding {
	b := bindType(v.Type())
	if len(b.offers) == 0 {
		return b
	}
	var names strings.Builder
	for _, at := range b.offers {
		for name, t := range offered(v.FieldByIndex(at)) {
			fmt.Fprintf(&names, "%s=%s.%s ", name, t.PkgPath(), t.Name())
		}
	}
	return describe(shape{v.Type(), names.String()}, v)
}

// bindType describes a struct to which nothing was offered.
func bindType(t reflect.Type) *binding { return describe(shape{t: t}, reflect.Value{}) }

func describe(key shape, v reflect.Value) *binding {
	if b, ok := cache.Load(key); ok {
		return b.(*binding)
	}
	b := &binding{places: map[*Field]place{}}
	fields := b.collect(key.t, v, nil)
	block, err := NewBlock(fields...)
	if err != nil {
		panic(fmt.Sprintf("schema: %v: %v", key.t, err))
	}
	b.Block = block
	actual, _ := cache.LoadOrStore(key, b)
	return actual.(*binding)
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

// collect lists the fields of a struct type. V is the whole value that is described,
// or none.
func (b *binding) collect(t reflect.Type, v reflect.Value, index []int) (fields []*Field) {
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, ok := sf.Tag.Lookup("kiln")
		if !ok || tag == "-" {
			continue
		}
		at := append(append([]int(nil), index...), i)
		switch tag {
		case ",squash":
			fields = append(fields, b.collect(sf.Type, v, at)...)
			continue
		case ",offered":
			b.offers = append(b.offers, at)
			fields = append(fields, b.collectOffered(v, at)...)
			continue
		}
		f := &Field{Render: RenderPrepare}
		f.parseTag(t, sf.Name, tag)
		p := place{index: at}
		if p.elem = f.setType(sf.Type); p.elem == nil && f.Kind < 0 {
			panic(fmt.Sprintf("schema: %v.%s: no configuration can have type %v", t, sf.Name, sf.Type))
		}
		b.places[f] = p
		fields = append(fields, f)
	}
	return fields
}

func (b *binding) collectOffered(v reflect.Value, at []int) (fields []*Field) {
	if !v.IsValid() {
		return nil
	}
	for name, t := range offered(v.FieldByIndex(at)) {
		for _, f := range b.collect(t, reflect.Value{}, nil) {
			f.Offer = name
			p := b.places[f]
			p.offered = at
			b.places[f] = p
			fields = append(fields, f)
		}
	}
	return fields
}

func (f *Field) parseTag(t reflect.Type, goName, tag string) {
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
			f.File, f.Glob = true, val == "glob"
		case "sensitive":
			f.Sensitive = true
		case "origin":
			f.Origin = true
		case "late":
			f.Late = true
		case "render":
			f.Render = Render(val)
		default:
			panic(fmt.Sprintf("schema: %v.%s: unknown option %q in its tag", t, goName, opt))
		}
	}
}

// setType gives a field the type of a Go field, and returns the binding of a nested
// block.
func (f *Field) setType(t reflect.Type) *binding {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
		f.Nullable = true
	}
	f.Sensitive = f.Sensitive || t == secretType
	switch {
	case t.Kind() == reflect.Struct:
		b := bindType(t)
		f.Type = Type{Kind: Single, Block: b.Block}
		return b
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		b := bindType(t.Elem())
		f.Type = Type{Kind: Repeated, Block: b.Block}
		return b
	}
	f.Type = typeOf(t)
	return nil
}

// noType is the kind of a Go type that no configuration can have.
const noType Kind = -1

func typeOf(t reflect.Type) Type {
	switch t.Kind() {
	case reflect.String:
		return Type{Kind: String}
	case reflect.Bool:
		return Type{Kind: Bool}
	case reflect.Int, reflect.Int64:
		if t == durationType {
			return Type{Kind: Duration}
		}
		return Type{Kind: Integer}
	case reflect.Float64:
		return Type{Kind: Number}
	case reflect.Slice, reflect.Map:
		item := typeOf(t.Elem())
		if item.Kind < 0 || t.Kind() == reflect.Map && t.Key().Kind() != reflect.String {
			return Type{Kind: noType}
		}
		return Type{Kind: map[reflect.Kind]Kind{reflect.Slice: List, reflect.Map: Map}[t.Kind()], Item: &item}
	}
	return Type{Kind: noType}
}

// open makes a record of what a component holds, and a function that puts back what
// was changed in it. A [*Record] is its own.
func open(component any) (r *Record, done func()) {
	if r, ok := component.(*Record); ok {
		return r, func() {}
	}
	v := reflect.ValueOf(component)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	b := bind(v)
	r = b.read(v)
	return r, func() { b.write(r, v) }
}

// recordOf is what a component holds.
func recordOf(component any) *Record {
	r, _ := open(component)
	return r
}

// read makes a record of a struct. Plain zero values are left out.
func (b *binding) read(v reflect.Value) *Record {
	return b.readWhere(v, func(*Field) bool { return true })
}

// readWhere reads the fields that are wanted.
func (b *binding) readWhere(v reflect.Value, wanted func(*Field) bool) *Record {
	r := NewRecord(b.Block)
	for _, f := range b.Fields {
		if !wanted(f) {
			continue
		}
		p := b.places[f]
		fv := p.in(v, f)
		if fv.IsZero() {
			continue
		}
		if fv.Kind() == reflect.Pointer {
			fv = fv.Elem()
		}
		switch f.Kind {
		case Single:
			r.blocks[f.Name] = []*Record{p.elem.read(fv)}
		case Repeated:
			for i := range fv.Len() {
				r.blocks[f.Name] = append(r.blocks[f.Name], p.elem.read(fv.Index(i)))
			}
		default:
			r.values[f.Name] = f.read(fv)
		}
	}
	return r
}

func (t *Type) read(v reflect.Value) cty.Value {
	switch t.Kind {
	case String:
		return cty.StringVal(v.String())
	case Bool:
		return cty.BoolVal(v.Bool())
	case Number:
		return cty.NumberFloatVal(v.Float())
	case List:
		var items []cty.Value
		for i := range v.Len() {
			items = append(items, t.Item.read(v.Index(i)))
		}
		if len(items) > 0 {
			return cty.ListVal(items)
		}
		return t.zero()
	case Map:
		items := map[string]cty.Value{}
		for it := v.MapRange(); it.Next(); {
			items[it.Key().String()] = t.Item.read(it.Value())
		}
		if len(items) > 0 {
			return cty.MapVal(items)
		}
		return t.zero()
	}
	return cty.NumberIntVal(v.Int())
}

// write puts what was changed in a record into the struct that it was read from.
func (b *binding) write(r *Record, v reflect.Value) {
	for _, f := range b.Fields {
		if !r.set[f.Name] {
			continue
		}
		p := b.places[f]
		fv := p.in(v, f)
		val, ok := r.values[f.Name]
		switch {
		case f.Kind == Repeated:
			all := r.blocks[f.Name]
			// A new slice: the old one may be shared with another decoding.
			out := reflect.MakeSlice(fv.Type(), len(all), len(all))
			reflect.Copy(out, fv)
			for i, nested := range all {
				p.elem.write(nested, out.Index(i))
			}
			fv.Set(out)
		case f.Kind == Single:
			if fv.Kind() == reflect.Pointer {
				fresh := reflect.New(fv.Type().Elem()) // the old one may be shared too
				if !fv.IsNil() {
					fresh.Elem().Set(fv.Elem())
				}
				fv.Set(fresh)
				fv = fresh.Elem()
			}
			p.elem.write(r.blocks[f.Name][0], fv)
		case !ok:
			fv.SetZero()
		default:
			if fv.Kind() == reflect.Pointer {
				fv.Set(reflect.New(fv.Type().Elem()))
				fv = fv.Elem()
			}
			f.write(val, fv)
		}
	}
}

func (t *Type) write(val cty.Value, v reflect.Value) {
	switch t.Kind {
	case String:
		v.SetString(val.AsString())
	case Bool:
		v.SetBool(val.True())
	case Number:
		n, _ := val.AsBigFloat().Float64()
		v.SetFloat(n)
	case List:
		items := val.AsValueSlice()
		out := reflect.MakeSlice(v.Type(), len(items), len(items))
		for i, item := range items {
			t.Item.write(item, out.Index(i))
		}
		v.Set(out)
	case Map:
		out := reflect.MakeMap(v.Type())
		for it := val.ElementIterator(); it.Next(); {
			k, item := it.Element()
			at := reflect.New(v.Type().Elem()).Elem()
			t.Item.write(item, at)
			out.SetMapIndex(reflect.ValueOf(k.AsString()).Convert(v.Type().Key()), at)
		}
		v.Set(out)
	default:
		n, _ := val.AsBigFloat().Int64()
		v.SetInt(n)
	}
}

// Clone returns a copy of the component that v points to, with copies of what was
// offered to it.
func Clone(v any) any {
	from := reflect.ValueOf(v).Elem()
	to := reflect.New(from.Type())
	to.Elem().Set(from)
	for _, at := range bind(from).offers {
		all := from.FieldByIndex(at)
		copies := reflect.MakeMap(all.Type())
		for it := all.MapRange(); it.Next(); {
			one := reflect.New(it.Value().Elem().Type().Elem())
			one.Elem().Set(it.Value().Elem().Elem())
			copies.SetMapIndex(it.Key(), one)
		}
		to.Elem().FieldByIndex(at).Set(copies)
	}
	return to.Interface()
}

// CopyOptions gives the named options of a component the values that they have in
// another one of its type.
func CopyOptions(dst, from any, names map[string]bool) {
	to, other := reflect.ValueOf(dst).Elem(), reflect.ValueOf(from).Elem()
	b, theirs := bind(to), bind(other)
	for name := range names {
		f, g := b.Field(name), theirs.Field(name)
		b.places[f].in(to, f).Set(theirs.places[g].in(other, g))
	}
}
