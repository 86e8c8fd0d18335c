package schema

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Value is a field of a decoded component with what it holds.
type Value struct {
	Field   *Field
	Text    string   // the whole value, as canonical text
	Strings []string // the strings in it
}

// Values lists the fields of a component that are set, nested blocks as one. It is
// how a component's configuration enters a layer key.
func Values(component any) []Value {
	v := reflect.ValueOf(component)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	var all []Value
	for _, f := range of(v).Fields {
		fv := f.In(v)
		if fv.IsZero() {
			continue
		}
		all = append(all, Value{Field: f, Text: text(fv), Strings: allStrings(fv)})
	}
	return all
}

// text is a canonical form: kiln.Secret hides itself from JSON, so it is taken as
// the string that it is.
func text(v reflect.Value) string {
	if v.Type() == secretType {
		return v.String()
	}
	if v.Kind() == reflect.Struct || v.Kind() == reflect.Slice || v.Kind() == reflect.Pointer {
		var b strings.Builder
		switch v.Kind() {
		case reflect.Pointer:
			if v.IsNil() {
				return "nil"
			}
			return text(v.Elem())
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					s := text(v.Field(i))
					fmt.Fprintf(&b, "%s=%d:%s", v.Type().Field(i).Name, len(s), s)
				}
			}
		default:
			for i := range v.Len() {
				s := text(v.Index(i))
				fmt.Fprintf(&b, "%d:%s", len(s), s)
			}
		}
		return b.String()
	}
	out, err := json.Marshal(v.Interface())
	if err != nil {
		return fmt.Sprint(v.Interface())
	}
	return string(out)
}

func allStrings(v reflect.Value) []string {
	switch v.Kind() {
	case reflect.String:
		return []string{v.String()}
	case reflect.Slice:
		var all []string
		for i := range v.Len() {
			all = append(all, allStrings(v.Index(i))...)
		}
		return all
	}
	return nil
}
