package template

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// describeValues fills in what inspect shows of variables and locals.
func (h *hclTemplate) describeValues() {
	h.t.Variables, h.t.Locals = nil, nil
	names := slices.Clone(h.order)
	slices.Sort(names)
	for _, name := range names {
		v := h.variables[name]
		shown := Show(v.value)
		if v.sensitive && v.value != cty.NilVal {
			shown = `"<sensitive>"`
		}
		h.t.Variables = append(h.t.Variables, Variable{Name: name, Description: v.description, Required: v.value == cty.NilVal, Value: shown, JSON: asJSON(v.value), Sensitive: v.sensitive})
	}
	var locals []string
	for name := range h.locals {
		locals = append(locals, name)
	}
	slices.Sort(locals)
	for _, name := range locals {
		shown := Show(h.locals[name].value)
		if h.locals[name].sensitive {
			shown = `"<sensitive>"`
		}
		h.t.Locals = append(h.t.Locals, Local{name, shown, asJSON(h.locals[name].value), h.locals[name].sensitive})
	}
}

// describeBuild adds what inspect shows of a build block.
func (b *hclBuild) describe(t *Template) {
	blk := Block{Name: b.name, Description: b.description}
	blk.Sources = append(blk.Sources, b.shown...)
	for _, s := range b.steps {
		blk.Provisioners = append(blk.Provisioners, Named{s.typ, s.name})
	}
	if b.cleanup != nil {
		blk.Cleanup = &Named{b.cleanup.typ, b.cleanup.name}
	}
	for _, chain := range b.chains {
		var names []Named
		for _, s := range chain {
			names = append(names, Named{s.typ, s.name})
		}
		blk.Chains = append(blk.Chains, names)
	}
	t.Blocks = append(t.Blocks, blk)
}

// asJSON is a value that is known.
func asJSON(v cty.Value) []byte {
	if v == cty.NilVal {
		return nil
	}
	if v, _ = v.UnmarkDeep(); !v.IsWhollyKnown() {
		return nil
	}
	text, err := ctyjson.Marshal(v, v.Type())
	if err != nil {
		return nil
	}
	return text
}

// Show is a value as inspect shows it: its text as a quoted string.
func Show(v cty.Value) string {
	if v == cty.NilVal || !v.IsKnown() {
		return `"<unknown>"`
	}
	return fmt.Sprintf("%q", showValue(v, true))
}

func showValue(v cty.Value, top bool) string {
	switch ty := v.Type(); {
	case !v.IsKnown():
		return "<unknown>"
	case v.IsNull():
		return "null"
	case ty == cty.String:
		if top {
			return v.AsString()
		}
		return fmt.Sprintf("%q", v.AsString())
	case ty == cty.Number:
		return v.AsBigFloat().Text('f', -1)
	case ty == cty.Bool:
		return fmt.Sprint(v.True())
	case (ty.IsTupleType() || ty.IsListType() || ty.IsSetType()) && v.LengthInt() == 0:
		return "[]"
	case (ty.IsMapType() || ty.IsObjectType()) && v.LengthInt() == 0:
		return "{}"
	case ty.IsTupleType() || ty.IsListType() || ty.IsSetType():
		var b strings.Builder
		b.WriteString("[\n")
		for it := v.ElementIterator(); it.Next(); {
			_, item := it.Element()
			fmt.Fprintf(&b, "  %s,\n", strings.ReplaceAll(showValue(item, false), "\n", "\n  "))
		}
		return b.String() + "]"
	}
	var b strings.Builder
	b.WriteString("{\n")
	for it := v.ElementIterator(); it.Next(); {
		k, item := it.Element()
		fmt.Fprintf(&b, "  %q = %s\n", k.AsString(), strings.ReplaceAll(showValue(item, false), "\n", "\n  "))
	}
	return b.String() + "}"
}
