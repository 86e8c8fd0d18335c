package upgrade

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kiln/schema"
)

// alwaysBlocks are options that are blocks whatever is in them.
var alwaysBlocks = []string{"linux_options", "network_interface", "shared_image_gallery"}

// writer writes HCL2 bodies from JSON values.
type writer struct {
	*engine
	b      strings.Builder
	indent int
}

func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(&w.b, strings.Repeat("  ", w.indent)+format+"\n", args...)
}

// block writes a block with what fill writes into it.
func (w *writer) block(head string, fill func()) {
	w.line("%s {", head)
	w.indent++
	fill()
	w.indent--
	w.line("}")
}

// body writes options, sorted by name. The struct is the component's, where it is
// known: it tells blocks from maps and lists from texts with commas, which JSON
// does not need to.
func (w *writer) body(o object, st *schema.Block) {
	for _, key := range slices.Sorted(maps.Keys(o)) {
		v := o[key]
		var f *schema.Field
		if st != nil {
			if f = st.FieldFold(key); f != nil && st.Field(key) == nil {
				key = f.Name
			}
		}
		if !identifier.MatchString(key) {
			w.skipped = append(w.skipped, fmt.Sprintf("option %q: HCL2 has no such name, it is left out", key))
			continue
		}
		w.option(key, v, f)
	}
}

func (w *writer) option(key string, v any, f *schema.Field) {
	switch {
	case f != nil && (f.Kind == schema.Single || f.Kind == schema.Repeated):
		w.blocks(key, v, f.Block)
	case f != nil && f.Kind == schema.Map:
		w.attribute(key, v)
	case f != nil && f.Kind == schema.List:
		w.attribute(key, asList(v))
	case isBlock(key, v):
		w.blocks(key, v, nil)
	default:
		if list, ok := v.([]any); ok && len(list) == 0 {
			return
		}
		w.attribute(key, v)
	}
}

// asList is a value for an option that is a list: JSON also takes a text with
// commas and a single value.
func asList(v any) any {
	switch v := v.(type) {
	case string:
		list := []any{}
		for _, part := range splitList(v) {
			list = append(list, part)
		}
		return list
	case float64, bool:
		return []any{v}
	}
	return v
}

// splitList splits a text at the commas outside of {{ }}.
func splitList(text string) (parts []string) {
	if text == "" {
		return nil
	}
	start := 0
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "{{"):
			if n := actionEnd(text[i+2:]); n >= 0 {
				i += n + 1
			}
		case text[i] == ',':
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

// isBlock guesses from a value whether an option of an unknown component is a
// block: one whose values are not all plain is, and one that is empty.
func isBlock(key string, v any) bool {
	switch v := v.(type) {
	case object:
		if slices.Contains(alwaysBlocks, key) || len(v) == 0 {
			return true
		}
		for _, sub := range v {
			if !plain(sub) {
				return true
			}
		}
	case []any:
		for _, sub := range v {
			if _, ok := sub.(object); !ok {
				return false
			}
		}
		return len(v) > 0
	}
	return false
}

func plain(v any) bool {
	switch v.(type) {
	case object, []any:
		return false
	}
	return true
}

func (w *writer) blocks(key string, v any, st *schema.Block) {
	switch v := v.(type) {
	case object:
		w.block(key, func() { w.body(v, st) })
	case []any:
		for _, sub := range v {
			if o, ok := sub.(object); ok {
				w.block(key, func() { w.body(o, st) })
			}
		}
	case nil:
	default:
		w.attribute(key, v)
	}
}

func (w *writer) attribute(key string, v any) { w.line("%s = %s", key, w.expr(v)) }

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// expr is a JSON value as an expression.
func (w *writer) expr(v any) string {
	switch v := v.(type) {
	case string:
		return w.quoted(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case raw:
		return string(v)
	case []any:
		parts := make([]string, len(v))
		for i, sub := range v {
			parts[i] = w.expr(sub)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case []string:
		parts := make([]string, len(v))
		for i, sub := range v {
			parts[i] = w.quoted(sub)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case object:
		if len(v) == 0 {
			return "{}"
		}
		var b strings.Builder
		b.WriteString("{\n")
		for _, key := range slices.Sorted(maps.Keys(v)) {
			name := key
			if !identifier.MatchString(key) {
				name = w.quoted(key)
			}
			fmt.Fprintf(&b, "%s = %s\n", name, w.expr(v[key]))
		}
		return b.String() + "}"
	}
	return "null"
}

// raw is an expression that is HCL2 already.
type raw string
