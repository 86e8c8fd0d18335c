package schema

import (
	"reflect"
	"time"
)

// Settings are the options of a component that have a value, by name, in a form
// that JSON can show. Sensitive ones are "<sensitive>".
func Settings(component any) map[string]any {
	v := reflect.ValueOf(component)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return settings(of(v), v)
}

func settings(st *Struct, v reflect.Value) map[string]any {
	all := map[string]any{}
	for _, f := range st.Fields {
		fv := f.In(v)
		if fv.IsZero() {
			continue
		}
		if f.Sensitive {
			all[f.Name] = "<sensitive>"
			continue
		}
		for fv.Kind() == reflect.Pointer {
			fv = fv.Elem()
		}
		switch {
		case f.Kind == Block:
			all[f.Name] = settings(f.Elem, fv)
		case f.Kind == BlockSet:
			var list []any
			for i := range fv.Len() {
				list = append(list, settings(f.Elem, fv.Index(i)))
			}
			all[f.Name] = list
		case f.Kind == Duration:
			all[f.Name] = time.Duration(fv.Int()).String()
		default:
			all[f.Name] = fv.Interface()
		}
	}
	return all
}
