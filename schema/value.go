package schema

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// Placeholder stands for a string that is not known yet, as it does in Packer.
const Placeholder = "<unknown>"

// known replaces what is not known yet by placeholders: "<unknown>", 0, false and
// empty collections.
func known(val cty.Value) cty.Value {
	val, _ = val.UnmarkDeep()
	if val.IsWhollyKnown() {
		return val
	}
	out, err := cty.Transform(val, func(_ cty.Path, v cty.Value) (cty.Value, error) {
		if v.IsKnown() {
			return v, nil
		}
		switch ty := v.Type(); {
		case ty == cty.Number:
			return cty.Zero, nil
		case ty == cty.Bool:
			return cty.False, nil
		case ty.IsListType():
			return cty.ListValEmpty(ty.ElementType()), nil
		case ty.IsSetType():
			return cty.SetValEmpty(ty.ElementType()), nil
		case ty.IsMapType():
			return cty.MapValEmpty(ty.ElementType()), nil
		}
		return cty.StringVal(Placeholder), nil
	})
	if err != nil {
		return cty.StringVal(Placeholder)
	}
	return out
}

// render renders every string of a value, and the keys of maps.
func (d *Decoder) render(f *Field, val cty.Value) (cty.Value, error) {
	if d.Render == nil || f.Render == RenderNone || val.IsNull() {
		return val, nil
	}
	ty := val.Type()
	switch {
	case ty == cty.String:
		text := val.AsString()
		if !strings.Contains(text, "{{") {
			return val, nil
		}
		out, err := d.Render(f, text)
		return cty.StringVal(out), err
	case ty.IsTupleType() || ty.IsListType() || ty.IsSetType():
		var items []cty.Value
		for it := val.ElementIterator(); it.Next(); {
			_, item := it.Element()
			out, err := d.render(f, item)
			if err != nil {
				return val, err
			}
			items = append(items, out)
		}
		return cty.TupleVal(items), nil
	case ty.IsObjectType() || ty.IsMapType():
		items := map[string]cty.Value{}
		for it := val.ElementIterator(); it.Next(); {
			k, item := it.Element()
			key, err := d.render(f, k)
			if err != nil {
				return val, err
			}
			if items[key.AsString()], err = d.render(f, item); err != nil {
				return val, err
			}
		}
		return cty.ObjectVal(items), nil
	}
	return val, nil
}

// assign converts a known value to the Go type of dst and sets it. Lists that
// are there already are overlaid by index, maps merged by key.
func assign(dst reflect.Value, val cty.Value, weak bool) error {
	if val.IsNull() {
		return nil
	}
	if dst.Kind() == reflect.Pointer {
		p := reflect.New(dst.Type().Elem())
		if weak && val.Type() == cty.String && val.AsString() == "" {
			return nil // a tri-state that is left open
		}
		if err := assign(p.Elem(), val, weak); err != nil {
			return err
		}
		dst.Set(p)
		return nil
	}
	if dst.Type() == durationType {
		return assignDuration(dst, val, weak)
	}
	switch dst.Kind() {
	case reflect.String:
		v, err := convert.Convert(val, cty.String)
		if err != nil {
			return fmt.Errorf("string required, but have %s", val.Type().FriendlyName())
		}
		dst.SetString(v.AsString())
	case reflect.Bool:
		return assignBool(dst, val, weak)
	case reflect.Slice:
		return assignList(dst, val, weak)
	case reflect.Map:
		return assignMap(dst, val, weak)
	default:
		return assignNumber(dst, val, weak)
	}
	return nil
}

func assignDuration(dst reflect.Value, val cty.Value, weak bool) error {
	if val.Type() == cty.Number {
		if !weak {
			return fmt.Errorf(`a duration string such as "30s" or "5m" is required, not a number`)
		}
		n, _ := val.AsBigFloat().Int64()
		dst.SetInt(n)
		return nil
	}
	if val.Type() != cty.String {
		return fmt.Errorf("a duration is required, but have %s", val.Type().FriendlyName())
	}
	text := val.AsString()
	if text == Placeholder || text == "" {
		return nil
	}
	n, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf(`%q is no duration: write a number with a unit, such as "30s", "5m" or "1h30m"`, text)
	}
	dst.SetInt(int64(n))
	return nil
}

func assignBool(dst reflect.Value, val cty.Value, weak bool) error {
	switch {
	case val.Type() == cty.Bool:
		dst.SetBool(val.True())
		return nil
	case weak && val.Type() == cty.Number:
		dst.SetBool(val.AsBigFloat().Sign() != 0)
		return nil
	case val.Type() == cty.String:
		text := val.AsString()
		if text == Placeholder || weak && text == "" {
			return nil
		}
		if b, err := strconv.ParseBool(text); err == nil && (weak || text == "true" || text == "false") {
			dst.SetBool(b)
			return nil
		}
		return fmt.Errorf("a bool is required: %q is neither true nor false", text)
	}
	return fmt.Errorf("a bool is required, but have %s", val.Type().FriendlyName())
}

func assignNumber(dst reflect.Value, val cty.Value, weak bool) error {
	if val.Type() == cty.String && val.AsString() == Placeholder {
		return nil
	}
	if weak && val.Type() == cty.String && val.AsString() == "" {
		dst.SetZero()
		return nil
	}
	if weak && val.Type() == cty.Bool {
		val = cty.NumberIntVal(map[bool]int64{true: 1}[val.True()])
	}
	v, err := convert.Convert(val, cty.Number)
	if err != nil {
		return fmt.Errorf("a number is required")
	}
	f := v.AsBigFloat()
	switch dst.Kind() {
	case reflect.Float32, reflect.Float64:
		n, _ := f.Float64()
		dst.SetFloat(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, _ := f.Uint64()
		if !f.IsInt() || f.Sign() < 0 || dst.OverflowUint(n) {
			return fmt.Errorf("a whole number that is not negative is required")
		}
		dst.SetUint(n)
	default:
		n, acc := f.Int64()
		if !f.IsInt() || acc != 0 || dst.OverflowInt(n) {
			return fmt.Errorf("a whole number is required")
		}
		dst.SetInt(n)
	}
	return nil
}

func assignList(dst reflect.Value, val cty.Value, weak bool) error {
	var items []cty.Value
	switch ty := val.Type(); {
	case ty.IsTupleType() || ty.IsListType() || ty.IsSetType():
		items = val.AsValueSlice()
	case ty == cty.String && val.AsString() == Placeholder:
		return nil
	case weak && ty == cty.String:
		if val.AsString() != "" {
			for part := range strings.SplitSeq(val.AsString(), ",") {
				items = append(items, cty.StringVal(part))
			}
		}
	case weak && !ty.IsObjectType():
		items = []cty.Value{val}
	default:
		return fmt.Errorf("list of %s required, but have %s", elemName(dst.Type().Elem()), ty.FriendlyName())
	}
	// A new slice: the old one may be shared with another decoding.
	out := reflect.MakeSlice(dst.Type(), max(len(items), dst.Len()), max(len(items), dst.Len()))
	reflect.Copy(out, dst)
	for i, item := range items {
		if item.IsNull() {
			return fmt.Errorf("element %d is null", i)
		}
		at := out.Index(i)
		at.SetZero()
		if err := assign(at, item, weak); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	dst.Set(out)
	return nil
}

func assignMap(dst reflect.Value, val cty.Value, weak bool) error {
	ty := val.Type()
	if weak && ty.IsTupleType() {
		// A list of objects is merged, as the weak decoding of old templates did.
		for _, item := range val.AsValueSlice() {
			if err := assignMap(dst, item, weak); err != nil {
				return err
			}
		}
		return nil
	}
	if !ty.IsObjectType() && !ty.IsMapType() {
		if ty == cty.String && val.AsString() == Placeholder {
			return nil
		}
		return fmt.Errorf("map of string required, but have %s", ty.FriendlyName())
	}
	out := reflect.MakeMap(dst.Type())
	for it := dst.MapRange(); it.Next(); {
		out.SetMapIndex(it.Key(), it.Value())
	}
	for it := val.ElementIterator(); it.Next(); {
		k, item := it.Element()
		if item.IsNull() {
			continue
		}
		at := reflect.New(dst.Type().Elem()).Elem()
		if err := assign(at, item, weak); err != nil {
			return fmt.Errorf("element %q: %w", k.AsString(), err)
		}
		out.SetMapIndex(reflect.ValueOf(k.AsString()).Convert(dst.Type().Key()), at)
	}
	dst.Set(out)
	return nil
}

// skipBody hides attributes and blocks that are not the component's own.
type skippedBody struct {
	hcl.Body
	skip func(string) bool
}

func skipBody(b hcl.Body, skip func(string) bool) hcl.Body { return skippedBody{b, skip} }

// Content leaves out the diagnostics about names that are skipped.
func (b skippedBody) Content(s *hcl.BodySchema) (*hcl.BodyContent, hcl.Diagnostics) {
	content, diags := b.Body.Content(s)
	kept := diags[:0:0]
	for _, d := range diags {
		if name := quoted(d.Detail); name == "" || !b.skip(name) {
			kept = append(kept, d)
		}
	}
	return content, kept
}
