package kilntest

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kiln"
	"kiln/schema"
)

// testConfiguration checks what every component promises of its configuration: that
// Validate says nothing else the second time, changes nothing but what was not given,
// makes nothing, and takes whatever a template may hold without a panic.
func testConfiguration(t *testing.T, fresh func() any, left func() []string) {
	t.Helper()
	before := left()
	component := fresh()
	given := values(reflect.ValueOf(component).Elem())
	if err := validate(t, component); err != nil {
		t.Fatalf("the component to test with is invalid: %v", err)
	}
	for name, value := range values(reflect.ValueOf(component).Elem()) {
		if was, ok := given[name]; ok && was != value {
			t.Errorf("Validate changes %s, which was given: from %s to %s", name, was, value)
		}
	}
	for _, odd := range odds(component) {
		first := validate(t, odd)
		then := snapshot(odd)
		if again := validate(t, odd); fmt.Sprint(first) != fmt.Sprint(again) || snapshot(odd) != then {
			t.Errorf("Validate does not come to the same twice: %v and %v, of %s", first, again, then)
		}
	}
	if after := left(); !slices.Equal(before, after) {
		t.Errorf("Validate has effects: there is %v and was %v", after, before)
	}
}

// validate asks a component what is wrong with it.
func validate(t *testing.T, component any) (err error) {
	t.Helper()
	v, ok := component.(kiln.Validator)
	if !ok {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("Validate panics: %v, with %s", p, snapshot(component))
		}
	}()
	return v.Validate()
}

// odds makes components that nobody means: empty ones, and one for each field and each
// odd value.
func odds(component any) []any {
	kind := reflect.TypeOf(component).Elem()
	empty, plain := reflect.New(kind).Interface(), reflect.New(kind).Interface()
	schema.Defaults(plain)
	all := []any{empty, plain}
	for i := range fields(reflect.New(kind).Elem()) {
		for _, set := range oddValues {
			odd := reflect.New(kind)
			odd.Elem().Set(reflect.ValueOf(component).Elem())
			if set(fields(odd.Elem())[i]) {
				all = append(all, odd.Interface())
			}
		}
	}
	return all
}

// fields are the options of a struct, those of structs within it too.
func fields(v reflect.Value) (all []reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case !f.IsExported():
		case f.Type.Kind() == reflect.Struct:
			all = append(all, fields(v.Field(i))...)
		default:
			all = append(all, v.Field(i))
		}
	}
	return all
}

// oddValues set a field to something odd, and report whether it can hold that.
var oddValues = []func(reflect.Value) bool{
	oddString(
		"",
	), oddString("<unknown>"), oddString("{{"), oddString("/"), oddString("\x00"), oddString("%s%n%"),
	oddString(":"), oddString("="), oddString("["), oddString(strings.Repeat("x", 1<<16)),
	oddNumber(0), oddNumber(-1), oddNumber(math.MaxInt64), oddNumber(math.MinInt64),
	oddBool(true), oddBool(false),
}

func oddString(text string) func(reflect.Value) bool {
	var set func(v reflect.Value) bool
	set = func(v reflect.Value) bool {
		switch v.Kind() {
		case reflect.String:
			v.SetString(text)
			return true
		case reflect.Slice:
			item := reflect.New(v.Type().Elem()).Elem()
			if !set(item) {
				return false
			}
			v.Set(reflect.Append(reflect.Zero(v.Type()), item, item))
			return true
		case reflect.Map:
			key, item := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			if !set(key) || !set(item) {
				return false
			}
			v.Set(reflect.MakeMap(v.Type()))
			v.SetMapIndex(key, item)
			return true
		}
		return false
	}
	return set
}

func oddNumber(n int64) func(reflect.Value) bool {
	return func(v reflect.Value) bool {
		switch {
		case v.CanInt() && !v.OverflowInt(n):
			v.SetInt(n)
		case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Int:
			v.Set(reflect.ValueOf([]int{int(n)}).Convert(v.Type()))
		default:
			return false
		}
		return true
	}
}

func oddBool(is bool) func(reflect.Value) bool {
	return func(v reflect.Value) bool {
		if v.Kind() != reflect.Bool {
			return false
		}
		v.SetBool(is)
		return true
	}
}

// values are the options that are not empty, as text by name.
func values(v reflect.Value) map[string]string {
	all := map[string]string{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			maps.Copy(all, values(v.Field(i)))
		case !v.Field(i).IsZero():
			all[f.Name] = snapshot(v.Field(i))
		}
	}
	return all
}

// secretsOf are the values of the options that are sensitive.
func secretsOf(component any) (all []string) {
	var collect func(v reflect.Value)
	collect = func(v reflect.Value) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			tag, _, _ := strings.Cut(f.Tag.Get("kiln"), ",refused=")
			secret := strings.Contains(tag, ",sensitive") || f.Type == reflect.TypeFor[kiln.Secret]()
			switch {
			case f.Type.Kind() == reflect.Struct:
				collect(v.Field(i))
			case secret && v.Field(i).Kind() == reflect.String && v.Field(i).Len() > 0:
				all = append(all, v.Field(i).String())
			}
		}
	}
	collect(reflect.ValueOf(component).Elem())
	return all
}

// snapshot writes a value with all that it points to, so that what is written to it
// later shows. It takes a value or a reflect.Value of one.
func snapshot(value any) string {
	v, ok := value.(reflect.Value)
	if !ok {
		v = reflect.ValueOf(value)
	}
	var out strings.Builder
	write(&out, v, 0)
	return out.String()
}

// maxDepth ends a value that holds itself.
const maxDepth = 20

func write(out *strings.Builder, v reflect.Value, depth int) {
	switch {
	case depth > maxDepth:
		out.WriteString("...")
		return
	case !v.IsValid():
		out.WriteString("nil")
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			out.WriteString("nil")
			return
		}
		write(out, v.Elem(), depth+1)
	case reflect.Struct:
		out.WriteString("{")
		for i := range v.NumField() {
			fmt.Fprintf(out, "%s:", v.Type().Field(i).Name)
			write(out, v.Field(i), depth+1)
			out.WriteString(" ")
		}
		out.WriteString("}")
	case reflect.Slice, reflect.Array:
		out.WriteString("[")
		for i := range v.Len() {
			write(out, v.Index(i), depth+1)
			out.WriteString(" ")
		}
		out.WriteString("]")
	case reflect.Map:
		var pairs []string
		for _, key := range v.MapKeys() {
			pairs = append(pairs, snapshot(key)+":"+snapshot(v.MapIndex(key)))
		}
		slices.Sort(pairs)
		fmt.Fprintf(out, "map%v", pairs)
	case reflect.String:
		fmt.Fprintf(out, "%.200q", v.String())
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		fmt.Fprintf(out, "%s %t", v.Kind(), v.IsNil())
	default:
		fmt.Fprint(out, v)
	}
}
