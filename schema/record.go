package schema

import (
	"github.com/zclconf/go-cty/cty"
)

// Record is the values of a block. It is what a block is decoded to whose
// description is not that of a struct.
type Record struct {
	Block  *Block
	values map[string]cty.Value // of fields that are set, by present name
	blocks map[string][]*Record // nested; one for Single
	set    map[string]bool      // what changed since the record was read from a struct
}

// NewRecord makes a record without a value.
func NewRecord(b *Block) *Record {
	return &Record{Block: b,
		values: map[string]cty.Value{}, blocks: map[string][]*Record{}, set: map[string]bool{}}
}

// put gives a field a value; NilVal takes it away.
func (r *Record) put(f *Field, val cty.Value) {
	r.set[f.Name] = true
	if val == cty.NilVal {
		delete(r.values, f.Name)
		return
	}
	r.values[f.Name] = val
}

// nested is a nested record that is about to be filled: of Repeated the one at index
// i, made if it does not exist, or a new last one for i < 0.
func (r *Record) nested(f *Field, i int) *Record {
	r.set[f.Name] = true
	all := r.blocks[f.Name]
	switch {
	case f.Kind == Single:
		i = 0
	case i < 0:
		i = len(all)
	}
	for len(all) <= i {
		all = append(all, NewRecord(f.Block))
	}
	r.blocks[f.Name] = all
	return all[i]
}

// isZero reports whether a field has no value, or one that says no more than that.
func (r *Record) isZero(f *Field) bool {
	if f.Block != nil {
		all := r.blocks[f.Name]
		return len(all) == 0 || f.Kind == Single && !f.Nullable && all[0].empty()
	}
	val, ok := r.values[f.Name]
	if !ok {
		return true
	}
	if f.Nullable || f.Kind == List || f.Kind == Map {
		return false
	}
	return val.RawEquals(f.zero())
}

// empty reports whether no field has a value.
func (r *Record) empty() bool {
	for _, f := range r.Block.Fields {
		if !r.isZero(f) {
			return false
		}
	}
	return true
}

// defaults sets every field without a value that has a default, of those in only where
// that is not nil.
func (r *Record) defaults(only map[string]bool) {
	for _, f := range r.Block.Fields {
		if only != nil && !only[f.Name] {
			continue
		}
		if f.HasDefault && r.isZero(f) {
			r.put(f, f.initial)
		}
		if f.Kind == Single && !f.Nullable {
			r.nested(f, 0).defaults(nil)
		}
	}
}

// Object is the record as one value: fields that are not set are null, as are
// blocks that do not occur.
func (r *Record) Object() cty.Value {
	all := map[string]cty.Value{}
	for _, f := range r.Block.Fields {
		val, ok := r.values[f.Name]
		switch {
		case f.Kind == Repeated:
			val = cty.ListValEmpty(f.Block.cty())
			var items []cty.Value
			for _, b := range r.blocks[f.Name] {
				items = append(items, b.Object())
			}
			if len(items) > 0 {
				val = cty.ListVal(items)
			}
		case f.Kind == Single && len(r.blocks[f.Name]) > 0:
			val = r.blocks[f.Name][0].Object()
		case !ok:
			val = cty.NullVal(f.cty())
		}
		all[f.Name] = val
	}
	return cty.ObjectVal(all)
}

// cty is the type of a record as one value.
func (b *Block) cty() cty.Type {
	all := map[string]cty.Type{}
	for _, f := range b.Fields {
		all[f.Name] = f.cty()
	}
	return cty.Object(all)
}

// cty is the type of the values. A duration is a number of nanoseconds.
func (t *Type) cty() cty.Type {
	switch t.Kind {
	case String:
		return cty.String
	case Bool:
		return cty.Bool
	case List:
		return cty.List(t.Item.cty())
	case Map:
		return cty.Map(t.Item.cty())
	case Single:
		return t.Block.cty()
	case Repeated:
		return cty.List(t.Block.cty())
	}
	return cty.Number
}

// zero is the value of an item that was given none.
func (t *Type) zero() cty.Value {
	switch t.Kind {
	case String:
		return cty.StringVal("")
	case Bool:
		return cty.False
	case List:
		return cty.ListValEmpty(t.Item.cty())
	case Map:
		return cty.MapValEmpty(t.Item.cty())
	}
	return cty.Zero
}
