package schema

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"

	"kiln"
)

// Settings are the options of a component that have a value, by name, in a form
// that JSON can show. Sensitive ones are "<sensitive>", as is what stands at one of the
// places that are secret: those that a [Decoder] told.
func Settings(component any, secret map[string]bool) map[string]any {
	return recordOf(component).settings("", secret)
}

func (r *Record) settings(at string, secret map[string]bool) map[string]any {
	all := map[string]any{}
	for _, f := range r.Block.Fields {
		here := at + f.Name
		switch {
		case r.isZero(f):
		case f.Sensitive || secret[here]:
			all[f.Name] = mask
		case f.Kind == Single:
			all[f.Name] = r.blocks[f.Name][0].settings(here+".", secret)
		case f.Kind == Repeated:
			var list []any
			for i, b := range r.blocks[f.Name] {
				list = append(list, b.settings(fmt.Sprintf("%s[%d].", here, i), secret))
			}
			all[f.Name] = list
		default:
			all[f.Name] = f.plain(r.values[f.Name], here, secret)
		}
	}
	return all
}

// plain is a value as Go's own types have it.
func (t *Type) plain(val cty.Value, at string, secret map[string]bool) any {
	if secret[at] {
		return mask
	}
	switch t.Kind {
	case String:
		return val.AsString()
	case Bool:
		return val.True()
	case Number:
		n, _ := val.AsBigFloat().Float64()
		return n
	case List:
		items := []any{}
		for i, item := range val.AsValueSlice() {
			items = append(items, t.Item.plain(item, itemPlace(at, i, secret), secret))
		}
		return items
	case Map:
		items := map[string]any{}
		for k, item := range val.AsValueMap() {
			items[k] = t.Item.plain(item, at+"."+k, secret)
		}
		return items
	case Duration:
		n, _ := val.AsBigFloat().Int64()
		return time.Duration(n).String()
	}
	n, _ := val.AsBigFloat().Int64()
	return int(n)
}

// itemPlace is that of an item of a list. It matters only where there are secrets.
func itemPlace(at string, i int, secret map[string]bool) string {
	if len(secret) == 0 {
		return ""
	}
	return fmt.Sprintf("%s[%d]", at, i)
}

// Secrets are the texts of a component that are not to be shown.
func Secrets(component any) []string {
	if r, ok := component.(*Record); ok {
		return r.secrets()
	}
	v := reflect.Indirect(reflect.ValueOf(component))
	// Most fields are no secrets: only those that may be are read.
	return bind(v).readWhere(v, func(f *Field) bool { return f.Sensitive || f.Block != nil }).secrets()
}

func (r *Record) secrets() (all []string) {
	for _, f := range r.Block.Fields {
		for _, b := range r.blocks[f.Name] {
			all = append(all, b.secrets()...)
		}
		if f.Sensitive {
			all = append(all, texts(r.values[f.Name])...)
		}
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" || s == Placeholder })
}

// Value is a field of a decoded component with what it holds.
type Value struct {
	Field *Field
	Text  string   // the whole value, as canonical text
	Files []string // the paths in it that name local files
}

// Values lists the fields of a component that are set, nested blocks as one. It is
// how a component's configuration enters a layer key.
func Values(component any) []Value {
	r := recordOf(component)
	var all []Value
	for _, f := range r.Block.Fields {
		if !r.isZero(f) {
			all = append(all, Value{Field: f, Text: r.text(f), Files: r.files(f)})
		}
	}
	return all
}

// Files are the local files and folders that a component names.
func Files(component any) (paths []string) {
	for _, v := range Values(component) {
		paths = append(paths, v.Files...)
	}
	return paths
}

// files are the paths in a field, nested blocks included.
func (r *Record) files(f *Field) (paths []string) {
	if f.File {
		paths = texts(r.values[f.Name])
	}
	if f.Glob {
		paths = matching(paths)
	}
	for _, nested := range r.blocks[f.Name] {
		for _, nf := range nested.Block.Fields {
			paths = append(paths, nested.files(nf)...)
		}
	}
	return paths
}

// matching are the files that some paths with wildcards name. One that names none is
// kept as it is: that nothing fits it is a state too.
func matching(patterns []string) (paths []string) {
	for _, p := range patterns {
		found, err := kiln.Glob(p)
		if err != nil || len(found) == 0 {
			found = []string{p}
		}
		paths = append(paths, found...)
	}
	return paths
}

// text is a field's value in a canonical form, in which no two are alike.
func (r *Record) text(f *Field) string {
	if f.Block == nil {
		return f.text(r.values[f.Name])
	}
	var b strings.Builder
	for _, nested := range r.blocks[f.Name] {
		var inner strings.Builder
		for _, nf := range nested.Block.Fields {
			if !nested.isZero(nf) {
				counted(&inner, nf.Name+"=", nested.text(nf))
			}
		}
		counted(&b, "", inner.String())
	}
	return b.String()
}

func (t *Type) text(val cty.Value) string {
	var b strings.Builder
	switch t.Kind {
	case String:
		return val.AsString()
	case Bool:
		return fmt.Sprint(val.True())
	case List:
		for _, item := range val.AsValueSlice() {
			counted(&b, "", t.Item.text(item))
		}
		return b.String()
	case Map:
		for it := val.ElementIterator(); it.Next(); { // in the order of the keys
			k, item := it.Element()
			counted(&b, "", k.AsString())
			counted(&b, "=", t.Item.text(item))
		}
		return b.String()
	}
	return val.AsBigFloat().Text('g', -1)
}

// counted writes a text with its length before it, so that what follows cannot be
// taken for a part of it.
func counted(b *strings.Builder, before, text string) {
	fmt.Fprintf(b, "%s%d:%s", before, len(text), text)
}
