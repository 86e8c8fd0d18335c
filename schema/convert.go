package schema

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// Placeholder stands for a string that is not known yet, as it does in Packer.
const Placeholder = "<unknown>"

// isUnknown reports whether a value is the text that stands for one not known yet.
func isUnknown(val cty.Value) bool { return isText(val) && val.AsString() == Placeholder }

// isBlank reports whether a value is the empty text, which legacy JSON also writes
// for what is left open.
func isBlank(val cty.Value) bool { return isText(val) && val.AsString() == "" }

func isText(val cty.Value) bool { return val.Type() == cty.String && !val.IsNull() }

// known replaces what is not known yet by placeholders: "<unknown>", 0, false and
// empty collections. Marks stay.
func known(val cty.Value) cty.Value {
	if val.IsWhollyKnown() {
		return val
	}
	out, err := cty.Transform(val, func(_ cty.Path, v cty.Value) (cty.Value, error) {
		if v.IsKnown() {
			return v, nil
		}
		_, marks := v.Unmark()
		return placeholder(v.Type()).WithMarks(marks), nil
	})
	if err != nil {
		return cty.StringVal(Placeholder)
	}
	return out
}

// placeholder stands for a value that is not known yet.
func placeholder(ty cty.Type) cty.Value {
	switch {
	case ty == cty.Number:
		return cty.Zero
	case ty == cty.Bool:
		return cty.False
	case ty.IsListType():
		return cty.ListValEmpty(ty.ElementType())
	case ty.IsSetType():
		return cty.SetValEmpty(ty.ElementType())
	case ty.IsMapType():
		return cty.MapValEmpty(ty.ElementType())
	}
	return cty.StringVal(Placeholder)
}

// convert makes a known value one of the field's type. Old is what the field holds,
// NilVal for nothing: lists are laid over it by index, maps merged by key. It is
// also the result where val says nothing.
func (f *Field) convert(val, old cty.Value, weak bool) (cty.Value, error) {
	if f.Nullable && weak && isBlank(val) {
		return old, nil // a tri-state that is left open
	}
	return f.Type.convert(val, old, weak)
}

func (t *Type) convert(val, old cty.Value, weak bool) (cty.Value, error) {
	if val.IsNull() {
		return old, nil
	}
	switch t.Kind {
	case String:
		v, err := convert.Convert(val, cty.String)
		if err != nil {
			return old, fmt.Errorf("string required, but have %s", val.Type().FriendlyName())
		}
		return v, nil
	case Bool:
		return toBool(val, old, weak)
	case Duration:
		return toDuration(val, old, weak)
	case List:
		return t.toList(val, old, weak)
	case Map:
		return t.toMap(val, old, weak)
	}
	return t.toNumber(val, old, weak)
}

func toDuration(val, old cty.Value, weak bool) (cty.Value, error) {
	if val.Type() == cty.Number {
		if !weak {
			return old, fmt.Errorf(`a duration string such as "30s" or "5m" is required, not a number`)
		}
		n, _ := val.AsBigFloat().Int64()
		return cty.NumberIntVal(n), nil
	}
	if val.Type() != cty.String {
		return old, fmt.Errorf("a duration is required, but have %s", val.Type().FriendlyName())
	}
	if isUnknown(val) || isBlank(val) {
		return old, nil
	}
	n, err := time.ParseDuration(val.AsString())
	if err != nil {
		return old, fmt.Errorf(`invalid duration %q: write a number with a unit, such as "30s", "5m" or "1h30m"`,
			val.AsString())
	}
	return cty.NumberIntVal(int64(n)), nil
}

func toBool(val, old cty.Value, weak bool) (cty.Value, error) {
	switch {
	case val.Type() == cty.Bool:
		return val, nil
	case weak && val.Type() == cty.Number:
		return cty.BoolVal(val.AsBigFloat().Sign() != 0), nil
	case isUnknown(val) || weak && isBlank(val):
		return old, nil
	case val.Type() == cty.String:
		text := val.AsString()
		if b, err := strconv.ParseBool(text); err == nil && (weak || text == "true" || text == "false") {
			return cty.BoolVal(b), nil
		}
		return old, fmt.Errorf("a bool is required: %q is neither true nor false", text)
	}
	return old, fmt.Errorf("a bool is required, but have %s", val.Type().FriendlyName())
}

func (t *Type) toNumber(val, old cty.Value, weak bool) (cty.Value, error) {
	switch {
	case isUnknown(val):
		return old, nil
	case weak && isBlank(val):
		return cty.Zero, nil
	case weak && val.Type() == cty.Bool:
		return cty.NumberIntVal(map[bool]int64{true: 1}[val.True()]), nil
	}
	v, err := convert.Convert(val, cty.Number)
	if err != nil {
		return old, fmt.Errorf("a number is required")
	}
	if t.Kind == Integer {
		f := v.AsBigFloat()
		n, acc := f.Int64()
		if !f.IsInt() || acc != 0 {
			return old, fmt.Errorf("a whole number is required")
		}
		return cty.NumberIntVal(n), nil
	}
	return v, nil
}

func (t *Type) toList(val, old cty.Value, weak bool) (cty.Value, error) {
	var items []cty.Value
	switch ty := val.Type(); {
	case ty.IsTupleType() || ty.IsListType() || ty.IsSetType():
		items = val.AsValueSlice()
	case isUnknown(val):
		return old, nil
	case weak && ty == cty.String:
		if !isBlank(val) {
			for part := range strings.SplitSeq(val.AsString(), ",") {
				items = append(items, cty.StringVal(part))
			}
		}
	case weak && !ty.IsObjectType():
		items = []cty.Value{val}
	default:
		return old, fmt.Errorf("list of %s required, but have %s", t.Item.plural(), ty.FriendlyName())
	}
	var out []cty.Value
	if old != cty.NilVal {
		out = old.AsValueSlice()
	}
	for i, item := range items {
		if item.IsNull() {
			return old, fmt.Errorf("element %d is null", i)
		}
		v, err := t.Item.convert(item, t.Item.zero(), weak)
		if err != nil {
			return old, fmt.Errorf("element %d: %w", i, err)
		}
		if i < len(out) {
			out[i] = v
		} else {
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		return t.zero(), nil
	}
	return cty.ListVal(out), nil
}

func (t *Type) toMap(val, old cty.Value, weak bool) (cty.Value, error) {
	ty := val.Type()
	if weak && ty.IsTupleType() {
		// A list of objects is merged, as the weak decoding of old templates did.
		merged := old
		for _, item := range val.AsValueSlice() {
			var err error
			if merged, err = t.toMap(item, merged, weak); err != nil {
				return old, err
			}
		}
		return merged, nil
	}
	if isUnknown(val) {
		return old, nil
	}
	if !ty.IsObjectType() && !ty.IsMapType() {
		return old, fmt.Errorf("map of %s required, but have %s", t.Item.plural(), ty.FriendlyName())
	}
	out := map[string]cty.Value{}
	if old != cty.NilVal && old.LengthInt() > 0 {
		out = old.AsValueMap()
	}
	for it := val.ElementIterator(); it.Next(); {
		k, item := it.Element()
		if item.IsNull() {
			continue
		}
		v, err := t.Item.convert(item, t.Item.zero(), weak)
		if err != nil {
			return old, fmt.Errorf("element %q: %w", k.AsString(), err)
		}
		out[k.AsString()] = v
	}
	if len(out) == 0 {
		return t.zero(), nil
	}
	return cty.MapVal(out), nil
}

// texts are the strings in a value, in order.
func texts(val cty.Value) []string {
	if val == cty.NilVal {
		return nil
	}
	if val.Type() == cty.String {
		return []string{val.AsString()}
	}
	var all []string
	if val.Type().IsListType() {
		for _, item := range val.AsValueSlice() {
			all = append(all, texts(item)...)
		}
	}
	return all
}
