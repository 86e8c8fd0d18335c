package schema

import (
	"fmt"
	"reflect"

	"github.com/zclconf/go-cty/cty"
)

// ToCty is a data source's result as a value: a struct with kiln tags becomes an
// object, maps and slices what they are.
func ToCty(v any) cty.Value {
	if v == nil {
		return cty.NullVal(cty.DynamicPseudoType)
	}
	return toCty(reflect.ValueOf(v))
}

func toCty(v reflect.Value) cty.Value {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return cty.NullVal(cty.DynamicPseudoType)
		}
		return toCty(v.Elem())
	case reflect.String:
		return cty.StringVal(v.String())
	case reflect.Bool:
		return cty.BoolVal(v.Bool())
	case reflect.Int, reflect.Int64, reflect.Int32:
		return cty.NumberIntVal(v.Int())
	case reflect.Float64:
		return cty.NumberFloatVal(v.Float())
	case reflect.Slice:
		items := []cty.Value{}
		for i := range v.Len() {
			items = append(items, toCty(v.Index(i)))
		}
		switch {
		case v.Type().Elem().Kind() != reflect.String:
			return cty.TupleVal(items)
		case len(items) == 0:
			return cty.ListValEmpty(cty.String)
		}
		return cty.ListVal(items)
	case reflect.Map:
		items := map[string]cty.Value{}
		for it := v.MapRange(); it.Next(); {
			items[it.Key().String()] = toCty(it.Value())
		}
		// Of strings alone: the type is the same whatever is in it, as Shape promises.
		switch {
		case v.Type().Elem().Kind() != reflect.String:
			return cty.ObjectVal(items)
		case len(items) == 0:
			return cty.MapValEmpty(cty.String)
		}
		return cty.MapVal(items)
	case reflect.Struct:
		items := map[string]cty.Value{}
		b := bind(v)
		for _, f := range b.Fields {
			items[f.Name] = toCty(b.places[f].in(v, f))
			if f.Sensitive {
				items[f.Name] = Sensitive(items[f.Name])
			}
		}
		return cty.ObjectVal(items)
	}
	return cty.StringVal(fmt.Sprint(v.Interface()))
}
