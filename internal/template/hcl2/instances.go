package hcl2

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"kiln/internal/template"
	"kiln/schema"
)

// instance is one of the things that a block with matrix or for_each stands for.
type instance struct {
	key  string               // "": the block has neither
	vars map[string]cty.Value // each or matrix
}

// source is a source, or one instance of it.
type source struct {
	instance
	typ, name string // the name with its key
	blk       *hcl.Block
	body      hcl.Body // without matrix and for_each
	owner     *scope
}

var instanceSchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "matrix"}, {Name: "for_each"}}}

// maxInstances bounds what one block may stand for.
const maxInstances = 10_000

// instancesOf evaluates matrix and for_each of a block, and gives the body without
// them.
func instancesOf(blk *hcl.Block, ctx *hcl.EvalContext) ([]instance, hcl.Body, hcl.Diagnostics) {
	if b, ok := blk.Body.(*hclsyntax.Body); ok && b.Attributes["matrix"] == nil &&
		b.Attributes["for_each"] == nil {
		return []instance{{}}, blk.Body, nil // as nearly all blocks
	}
	content, rest, diags := blk.Body.PartialContent(instanceSchema)
	matrix, forEach := content.Attributes["matrix"], content.Attributes["for_each"]
	var all []instance
	var more hcl.Diagnostics
	switch {
	case matrix != nil && forEach != nil:
		more = hcl.Diagnostics{template.ErrorAt(forEach.Range, "Both matrix and for_each",
			"A block has one of them.")}
	case matrix != nil:
		all, more = matrixInstances(matrix, ctx)
	case forEach != nil:
		all, more = eachInstances(forEach, ctx)
	default:
		all, rest = []instance{{}}, blk.Body
	}
	return all, rest, append(diags, more...)
}

var keyText = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

// eachInstances are those of a map, an object or a set of strings.
func eachInstances(attr *hcl.Attribute, ctx *hcl.EvalContext) (all []instance, diags hcl.Diagnostics) {
	v, diags := attr.Expr.Value(ctx)
	if diags.HasErrors() {
		return nil, diags
	}
	if d := secretInstances(attr, v); d != nil {
		return nil, hcl.Diagnostics{d}
	}
	v, _ = v.Unmark()
	if !v.IsKnown() {
		return []instance{{key: "unknown",
				vars: map[string]cty.Value{
					"each": cty.ObjectVal(
						map[string]cty.Value{"key": cty.UnknownVal(cty.String), "value": cty.DynamicVal},
					),
				}}},
			hcl.Diagnostics{unknownInstances(attr)}
	}
	ty := v.Type()
	if v.IsNull() || !ty.IsMapType() && !ty.IsObjectType() && !ty.IsSetType() && !ty.IsListType() &&
		!ty.IsTupleType() {
		return nil, hcl.Diagnostics{template.ErrorAt(attr.Expr.Range(), "Invalid for_each argument",
			"for_each is a map, an object, or a list or set of strings.")}
	}
	if v.LengthInt() > maxInstances {
		return nil, hcl.Diagnostics{template.ErrorfAt(attr.Expr.Range(), "Invalid for_each argument",
			"It stands for more than %d instances.", maxInstances)}
	}
	for it := v.ElementIterator(); it.Next(); {
		key, val := it.Element()
		if !ty.IsMapType() && !ty.IsObjectType() {
			if key = schema.Bare(val); val.IsNull() || !val.IsKnown() || val.Type() != cty.String {
				return nil, append(diags, template.ErrorAt(attr.Expr.Range(), "Invalid for_each argument",
					"The elements of a list or set in for_each are strings."))
			}
		}
		all = append(all, instance{instanceKey(key),
			map[string]cty.Value{"each": cty.ObjectVal(map[string]cty.Value{"key": key, "value": val})}})
	}
	return all, append(diags, checkInstances(attr, all)...)
}

// secretInstances refuses instances whose names would be secrets: a value that is one, or
// a list with one in it. The values of a map may be secrets.
func secretInstances(attr *hcl.Attribute, v cty.Value) *hcl.Diagnostic {
	ty := v.Type()
	if !schema.IsSensitive(v) || !v.IsMarked() && (ty.IsMapType() || ty.IsObjectType()) {
		return nil
	}
	return shownInstances(attr)
}

func shownInstances(attr *hcl.Attribute) *hcl.Diagnostic {
	return template.ErrorfAt(attr.Expr.Range(), "Invalid "+attr.Name+" argument",
		"It is made of a secret, which the names of the instances would show. "+
			"nonsensitive() says that a value is none.")
}

// openInstances marks that warning.
type openInstances struct{}

func unknownInstances(attr *hcl.Attribute) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: "The instances are not known yet",
		Extra:   openInstances{},
		Subject: attr.Expr.Range().Ptr(),
		Detail:  "They depend on a data source. `validate -evaluate-datasources` asks it."}
}

// matrixInstances are all combinations of the values of an object of lists; the
// last name changes fastest.
func matrixInstances(attr *hcl.Attribute, ctx *hcl.EvalContext) ([]instance, hcl.Diagnostics) {
	v, diags := attr.Expr.Value(ctx)
	if diags.HasErrors() {
		return nil, diags
	}
	if schema.IsSensitive(v) {
		return nil, hcl.Diagnostics{shownInstances(attr)}
	}
	v = schema.Bare(v)
	bad := func(format string, args ...any) ([]instance, hcl.Diagnostics) {
		return nil, append(diags, template.ErrorfAt(attr.Expr.Range(), "Invalid matrix argument", format,
			args...))
	}
	if !v.IsWhollyKnown() {
		return []instance{{key: "unknown",
			vars: map[string]cty.Value{"matrix": cty.DynamicVal}}}, hcl.Diagnostics{unknownInstances(attr)}
	}
	if v.IsNull() || !v.Type().IsObjectType() && !v.Type().IsMapType() {
		return bad("matrix is an object of lists, such as { os = [\"a\", \"b\"], size = [1, 2] }.")
	}
	names := slices.DeleteFunc(matrixNames(attr.Expr, v),
		func(name string) bool { return name == matrixExclude })
	excluded, why := exclusions(v.AsValueMap()[matrixExclude], names)
	if why != "" {
		return bad("%s", why)
	}
	rows := []map[string]cty.Value{{}}
	keys := []string{""}
	for _, name := range names {
		axis := v.AsValueMap()[name]
		if ty := axis.Type(); axis.IsNull() || !ty.IsTupleType() && !ty.IsListType() && !ty.IsSetType() {
			return bad("matrix.%s is a list of values.", name)
		}
		var nextRows []map[string]cty.Value
		var nextKeys []string
		for i, row := range rows {
			for it := axis.ElementIterator(); it.Next(); {
				_, val := it.Element()
				if text, err := convert.Convert(val, cty.String); err != nil || text.IsNull() {
					return bad("The values of matrix.%s are strings, numbers or booleans.", name)
				}
				grown := map[string]cty.Value{name: val}
				for k, old := range row {
					grown[k] = old
				}
				nextRows, nextKeys = append(nextRows, grown), append(nextKeys,
					strings.TrimPrefix(keys[i]+"-"+instanceKey(val), "-"))
			}
		}
		if rows, keys = nextRows, nextKeys; len(rows) > maxInstances {
			return bad("It stands for more than %d combinations.", maxInstances)
		}
	}
	if len(names) == 0 {
		return bad("A matrix has at least one list.")
	}
	var all []instance
	for i, row := range rows {
		if !slices.ContainsFunc(excluded, func(not map[string]cty.Value) bool { return fits(row, not) }) {
			all = append(all, instance{keys[i], map[string]cty.Value{"matrix": cty.ObjectVal(row)}})
		}
	}
	return all, append(diags, checkInstances(attr, all)...)
}

// matrixExclude is the name in a matrix that is not one of its lists: combinations to leave out.
const matrixExclude = "exclude"

// exclusions reads the combinations to leave out: objects with some of the names.
func exclusions(v cty.Value, names []string) (all []map[string]cty.Value, why string) {
	if v == cty.NilVal || v.IsNull() {
		return nil, ""
	}
	const form = "matrix.exclude is a list of objects, such as [{ os = \"a\", size = 2 }]."
	if ty := v.Type(); !ty.IsTupleType() && !ty.IsListType() && !ty.IsSetType() {
		return nil, form
	}
	for it := v.ElementIterator(); it.Next(); {
		_, item := it.Element()
		if ty := item.Type(); item.IsNull() || !ty.IsObjectType() && !ty.IsMapType() ||
			item.LengthInt() == 0 {
			return nil, form
		}
		for name := range item.AsValueMap() {
			if !slices.Contains(names, name) {
				return nil, fmt.Sprintf("matrix.exclude names %q, which the matrix does not have.", name)
			}
		}
		all = append(all, item.AsValueMap())
	}
	return all, ""
}

// fits reports whether a combination has all the values of a pattern.
func fits(row, pattern map[string]cty.Value) bool {
	for name, want := range pattern {
		a, errA := convert.Convert(row[name], cty.String)
		b, errB := convert.Convert(want, cty.String)
		if errA != nil || errB != nil || a.IsNull() || b.IsNull() || a.AsString() != b.AsString() {
			return false
		}
	}
	return true
}

// matrixNames are the axes in the order in which they are written, where that can
// be told.
func matrixNames(expr hcl.Expression, v cty.Value) (names []string) {
	if pairs, diags := hcl.ExprMap(expr); !diags.HasErrors() {
		for _, p := range pairs {
			key, diags := p.Key.Value(nil)
			if s := stringOf(key); !diags.HasErrors() && s != "" {
				names = append(names, s)
			}
		}
	}
	if len(names) == v.LengthInt() {
		return names
	}
	names = nil
	for it := v.ElementIterator(); it.Next(); {
		k, _ := it.Element()
		names = append(names, k.AsString())
	}
	return names
}

func instanceKey(v cty.Value) string {
	text, err := convert.Convert(v, cty.String)
	if err != nil || text.IsNull() {
		return ""
	}
	return strings.Trim(keyText.ReplaceAllString(text.AsString(), "-"), "-")
}

func checkInstances(attr *hcl.Attribute, all []instance) (diags hcl.Diagnostics) {
	seen := map[string]bool{}
	for _, i := range all {
		if i.key == "" || seen[i.key] {
			diags = append(diags, template.ErrorfAt(
				attr.Expr.Range(),
				"Duplicate instance",
				"Two instances would have the name %q: names keep letters, digits, dots, dashes and underscores.",
				i.key,
			))
		}
		seen[i.key] = true
	}
	return diags
}

// named is a block's name with the key of an instance.
func (i instance) named(name string) string {
	switch {
	case i.key == "":
		return name
	case name == "":
		return i.key
	}
	return name + "-" + i.key
}

// with is a context in which each or matrix have the instance's values.
func (i instance) with(more map[string]cty.Value) map[string]cty.Value {
	if more == nil {
		more = map[string]cty.Value{}
	}
	for name, v := range i.vars {
		more[name] = v
	}
	return more
}

// expandSources makes the instances of every source block.
func (sc *scope) expandSources() (diags hcl.Diagnostics) {
	sc.expanded = map[[2]string][]*source{}
	ctx := sc.context(nil)
	for _, key := range sc.sourceOrder {
		blk := sc.sources[key]
		all, rest, more := instancesOf(blk, ctx)
		diags = append(diags, more...)
		for _, i := range all {
			s := &source{i, key[0], i.named(key[1]), blk, rest, sc}
			sc.expanded[key] = append(sc.expanded[key], s)
			if i.key == "" {
				continue
			}
			own := [2]string{s.typ, s.name}
			if sc.sources[own] != nil {
				diags = append(diags, template.ErrorfAt(
					blk.DefRange,
					"Duplicate source block",
					"The instance %s.%s has the name of a source block at %s.",
					s.typ,
					s.name,
					sc.sources[own].DefRange,
				))
				continue
			}
			sc.expanded[own] = append(sc.expanded[own], s)
		}
	}
	return diags
}
