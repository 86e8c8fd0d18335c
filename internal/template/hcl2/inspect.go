package hcl2

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"kiln/internal/template"
	"kiln/internal/template/function"
)

// describeValues fills in what inspect shows of variables and locals.
func (sc *scope) describeValues() {
	if sc.t == nil {
		return // a module shows nothing
	}
	sc.t.Variables, sc.t.Locals = nil, nil
	for _, name := range slices.Sorted(maps.Keys(sc.variables)) {
		v, val := sc.variables[name], sc.vars[name].value
		shown := template.Show(val)
		if v.sensitive && val != cty.NilVal {
			shown = `"<sensitive>"`
		}
		sc.t.Variables = append(sc.t.Variables, template.Variable{Name: name, Description: v.description,
			Required: val == cty.NilVal, Value: shown, JSON: template.JSONOf(val), Sensitive: v.sensitive})
	}
	for _, name := range slices.Sorted(maps.Keys(sc.locals)) {
		val := sc.computed[name]
		sensitive := val != cty.NilVal && val.IsMarked()
		shown := template.Show(val)
		if sensitive || sc.locals[name].sensitive {
			sensitive, shown = true, `"<sensitive>"`
		}
		sc.t.Locals = append(sc.t.Locals, template.Local{Name: name, Value: shown, JSON: template.JSONOf(val),
			Sensitive: sensitive})
	}
}

// Eval evaluates an expression of the console.
func (sc *scope) Eval(line string) (string, template.Diagnostics) {
	const name = "<console-input>"
	sc.parser.texts.Add(name, []byte(line))
	expr, diags := hclsyntax.ParseExpression([]byte(line), name, hcl.InitialPos)
	if diags.HasErrors() {
		return "", sc.parser.texts.Convert(diags)
	}
	ctx := &hcl.EvalContext{Functions: sc.functions(), Variables: sc.values()}
	delete(ctx.Variables, "data")
	v, diags := expr.Value(ctx)
	if diags.HasErrors() {
		return "", sc.parser.texts.Convert(sc.hints(diags)).Tidy()
	}
	return template.ShowText(v, true), sc.parser.texts.Convert(diags)
}

// Dump lists variables and locals.
func (sc *scope) Dump() string {
	var b strings.Builder
	b.WriteString("> input-variables:\n\n")
	for _, v := range sc.t.Variables {
		fmt.Fprintf(&b, "var.%s: %s\n", v.Name, v.Value)
	}
	b.WriteString("\n> local-variables:\n\n")
	for _, l := range sc.t.Locals {
		fmt.Fprintf(&b, "local.%s: %s\n", l.Name, l.Value)
	}
	return b.String()
}

// Words are names that expressions can use.
func (sc *scope) Words() []string {
	words := []string{"path.root", "path.cwd", "packer.version"}
	for _, name := range sc.order {
		words = append(words, "var."+name)
	}
	for name := range sc.locals {
		words = append(words, "local."+name)
	}
	for _, name := range function.Names() {
		words = append(words, name+"(")
	}
	slices.Sort(words)
	return words
}
