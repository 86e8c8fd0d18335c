package hcl2

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyfunction "github.com/zclconf/go-cty/cty/function"

	"kiln/internal/redact"
	"kiln/internal/template"
	"kiln/internal/template/function"
	"kiln/internal/template/outside"
	"kiln/schema"
)

// variable is an input variable.
type variable struct {
	name        string
	description string
	typ         cty.Type // DynamicPseudoType: any
	typed       bool     // the template states the type
	defaults    *typeexpr.Defaults
	sensitive   bool
	rules       []variableRule
	rng         hcl.Range

	env     []string // values of the environment that its default asked for
	initial given
}

// given is the value of a variable.
type given struct {
	value cty.Value // NilVal: none
	from  string    // default, env, varfile, cmd, module
	at    hcl.Range // where the value stands; zero: not in a file
}

type variableRule struct {
	condition hcl.Expression
	message   string
	rng       hcl.Range
}

var variableSchema = &hcl.BodySchema{
	Attributes: []hcl.AttributeSchema{{Name: "type"}, {Name: "default"}, {Name: "description"},
		{Name: "sensitive"}},
	Blocks: []hcl.BlockHeaderSchema{{Type: "validation"}},
}

func (p *parsed) declare(v *variable) bool {
	if old := p.variables[v.name]; old != nil {
		p.problems = append(p.problems, template.ErrorfAt(v.rng, "Duplicate variable",
			"Duplicate %s variable definition found; the first is at %s.", v.name, old.rng))
		return false
	}
	p.variables[v.name] = v
	p.order = append(p.order, v.name)
	return true
}

// defaultContext is what a variable's default may use: the function env.
func (p *parsed) defaultContext(v *variable) *hcl.EvalContext {
	return &hcl.EvalContext{
		Functions: map[string]ctyfunction.Function{"env": function.Env(func(name string) string {
			v.env = append(v.env, name)
			return p.World.Env(name, p.Environ)
		})},
	}
}

func (p *parsed) readVariables(blk *hcl.Block) {
	attrs, diags := blk.Body.JustAttributes()
	p.problems = append(p.problems, diags...)
	for _, attr := range inOrder(attrs) {
		v := &variable{name: attr.Name, rng: attr.NameRange, typ: cty.DynamicPseudoType}
		value, diags := attr.Expr.Value(p.defaultContext(v))
		p.problems = append(p.problems, diags...)
		if diags.HasErrors() {
			v.spoil()
		} else {
			v.setDefault(value, attr.Expr.Range())
		}
		p.declare(v)
	}
}

// setDefault gives a variable its default, and its type where it has none.
func (v *variable) setDefault(value cty.Value, rng hcl.Range) {
	v.initial = given{value, "default", rng}
	open := value.IsNull() || (value.Type().IsTupleType() || value.Type().IsObjectType()) &&
		value.LengthInt() == 0
	if !v.typed && !open {
		v.typ = value.Type()
	}
}

func (p *parsed) readVariable(blk *hcl.Block) {
	v := &variable{name: blk.Labels[0], rng: blk.DefRange, typ: cty.DynamicPseudoType}
	content, diags := blk.Body.Content(variableSchema)
	for _, d := range diags {
		if name := quotedName(d.Detail); name != "" {
			if near := schema.Suggest(name, []string{"type", "default", "description", "sensitive",
				"validation"}); near != "" && !strings.Contains(d.Detail, "Did you mean") {
				d.Detail += fmt.Sprintf(" Did you mean %q?", near)
			}
		}
	}
	p.problems = append(p.problems, diags...)
	if !p.declare(v) {
		return
	}
	if attr := content.Attributes["description"]; attr != nil {
		val, diags := attr.Expr.Value(nil)
		p.problems = append(p.problems, diags...)
		v.description = stringOf(val)
	}
	if attr := content.Attributes["sensitive"]; attr != nil {
		val, diags := attr.Expr.Value(nil)
		p.problems = append(p.problems, diags...)
		if b, err := convert.Convert(val, cty.Bool); err == nil && !b.IsNull() && b.IsKnown() {
			v.sensitive = b.True()
		} else if !diags.HasErrors() {
			p.problems = append(p.problems, template.ErrorAt(attr.Expr.Range(), "Unsuitable value type",
				"sensitive is true or false."))
		}
	}
	if attr := content.Attributes["type"]; attr != nil {
		ty, defaults, diags := typeexpr.TypeConstraintWithDefaults(attr.Expr)
		for _, d := range diags {
			d.Summary = "Invalid type specification"
		}
		p.problems = append(p.problems, diags...)
		if !diags.HasErrors() {
			v.typ, v.typed, v.defaults = ty, ty != cty.DynamicPseudoType, defaults
		}
	}
	if attr := content.Attributes["default"]; attr != nil {
		val, diags := attr.Expr.Value(p.defaultContext(v))
		p.problems = append(p.problems, diags...)
		if diags.HasErrors() {
			v.spoil()
		} else {
			converted, err := v.convert(val)
			if err != nil {
				if v.sensitive {
					hideAll(val, p.Hide)
				}
				p.problems = append(p.problems, template.ErrorfAt(attr.Expr.Range(),
					"Invalid default value for variable",
					"This default value is not compatible with the variable's type constraint: %v.", err))
				v.spoil()
			} else {
				v.setDefault(converted, attr.Expr.Range())
			}
		}
	}
	for _, rule := range content.Blocks {
		p.readRule(v, rule)
	}
}

var ruleSchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "condition", Required: true},
	{Name: "error_message", Required: true}}}

func (p *parsed) readRule(v *variable, blk *hcl.Block) {
	content, diags := blk.Body.Content(ruleSchema)
	p.problems = append(p.problems, diags...)
	cond, msg := content.Attributes["condition"], content.Attributes["error_message"]
	if cond == nil || msg == nil {
		return
	}
	own := false
	for _, t := range cond.Expr.Variables() {
		if t.RootName() == "var" && len(t) > 1 {
			if step, ok := t[1].(hcl.TraverseAttr); ok && step.Name == v.name {
				own = true
				continue
			}
		}
		p.problems = append(p.problems, template.ErrorfAt(t.SourceRange(),
			"Invalid reference in variable validation",
			"The condition for variable %q can only refer to the variable itself, using var.%s.", v.name, v.name))
		return
	}
	if !own {
		p.problems = append(p.problems, template.ErrorfAt(cond.Expr.Range(),
			"Invalid variable validation condition",
			"The condition for variable %q must refer to var.%s in order to test incoming values.", v.name, v.name))
		return
	}
	val, diags := msg.Expr.Value(nil)
	p.problems = append(p.problems, diags...)
	text := stringOf(val)
	if diags.HasErrors() {
		return
	}
	first := []rune(text + " ")[0]
	if text == "" || unicode.IsLetter(first) && !unicode.IsUpper(first) ||
		!strings.ContainsAny(text[len(text)-1:], ".?!") {
		p.problems = append(p.problems, template.ErrorAt(
			msg.Expr.Range(),
			"Invalid validation error message",
			"The message must be at least one full English sentence starting with an uppercase letter and ending with a period or question mark.",
		))
		return
	}
	v.rules = append(v.rules, variableRule{cond.Expr, text, blk.DefRange})
}

// spoil gives a variable whose value is wrong an unknown one: what refers to it is
// not wrong for the same reason.
func (v *variable) spoil() {
	if v.initial.value == cty.NilVal {
		v.initial.value = cty.UnknownVal(v.typ)
	}
}

func (sc *scope) spoil(v *variable) {
	g := sc.vars[v.name]
	if g.value == cty.NilVal {
		g.value = cty.UnknownVal(v.typ)
	}
	sc.vars[v.name] = g
}

// convert makes a value fit the variable's type.
func (v *variable) convert(val cty.Value) (cty.Value, error) {
	if v.defaults != nil && !val.IsNull() {
		val = v.defaults.Apply(val)
	}
	return convert.Convert(val, v.typ)
}

// parse reads a value from the text of -var or the environment.
func (v *variable) parse(text, where string) (cty.Value, hcl.Diagnostics) {
	if v.typ == cty.DynamicPseudoType || v.typ == cty.String || v.typ == cty.Number {
		val, err := convert.Convert(cty.StringVal(text), v.typ)
		if err != nil {
			return val, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Invalid value",
				Detail: fmt.Sprintf("%s: %v", where, err)}}
		}
		return val, nil
	}
	if len(text) > 1<<20 || deep(where, []byte(text)) != nil {
		return cty.NilVal, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Invalid value",
			Detail: where + ": the expression is too deep or too long."}}
	}
	expr, diags := hclsyntax.ParseExpression([]byte(text), where, hcl.InitialPos)
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	val, diags := expr.Value(nil)
	return val, diags
}

// set gives a variable a value from outside. Problems name where it came from.
func (sc *scope) set(v *variable, val cty.Value, from, summary, where string, rng hcl.Range) {
	converted, err := v.convert(val)
	if err != nil {
		if v.sensitive {
			hideAll(val, sc.Hide)
		}
		d := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary,
			Detail: fmt.Sprintf("The value given for %s (%s) is not of its type %s: %v.", v.name, where,
				v.typ.FriendlyNameForConstraint(), err)}
		if rng.Filename != "" {
			d.Subject = rng.Ptr()
		}
		sc.problems = append(sc.problems, d)
		sc.spoil(v)
		return
	}
	sc.vars[v.name] = given{converted, from, rng}
}

// readValues gives variables their values, lowest precedence first: docs/compat/templates.md
// 3.4.
func (sc *scope) readValues(folder bool) {
	for _, kv := range sc.Environ {
		rest, ok := strings.CutPrefix(kv, "PKR_VAR_")
		name, text, _ := strings.Cut(rest, "=")
		v := sc.variables[name]
		if !ok || v == nil {
			continue
		}
		sc.fromText(v, text, "env", "Invalid value for variable", "environment variable PKR_VAR_"+name)
	}
	if folder {
		for _, suffix := range []string{".auto.pkrvars.hcl", ".auto.pkrvars.json"} {
			paths, err := template.Matching(sc.World, sc.Path, suffix)
			if err != nil {
				sc.problems = append(sc.problems, &hcl.Diagnostic{Severity: hcl.DiagError,
					Summary: "Cannot read the folder", Detail: err.Error()})
			}
			for _, path := range paths {
				sc.readVarFile(path, sc.World.ReadFile)
			}
		}
	}
	for _, path := range sc.VarFiles {
		sc.readVarFile(path, outside.Supply)
	}
	for _, arg := range sc.Vars {
		name, text, _ := strings.Cut(arg, "=")
		v := sc.variables[name]
		if v == nil {
			sc.problems = append(sc.problems, &hcl.Diagnostic{Severity: hcl.DiagError,
				Summary: "Undefined -var variable",
				Detail: fmt.Sprintf(
					"A %q variable was passed in the command line but was not found in known variables. To declare variable %q, place a block in one of your .pkr files, such as variables.pkr.hcl.%s",
					name,
					name,
					sc.nearVariable(name),
				)})
			continue
		}
		sc.fromText(v, text, "cmd", "Invalid argument value for -var variable", "-var "+name)
	}
	if sc.From != nil {
		sc.restore(sc.From)
	}
}

func (p *parsed) nearVariable(name string) string {
	if near := schema.Suggest(name, p.order); near != "" {
		return fmt.Sprintf(" Did you mean %q?", near)
	}
	return ""
}

func (sc *scope) fromText(v *variable, text, from, summary, where string) {
	val, diags := v.parse(text, where)
	if diags.HasErrors() {
		for _, d := range diags {
			detail := fmt.Sprintf("%s: %s", where, strings.TrimPrefix(d.Detail, where+": "))
			if !v.typ.IsPrimitiveType() {
				detail += fmt.Sprintf(` A %s is written as in a template: "[...]" or "{...}" with its texts in `+
					"double quotes.", v.typ.FriendlyNameForConstraint())
			}
			sc.problems = append(sc.problems, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary,
				Detail: detail})
		}
		sc.spoil(v)
		return
	}
	sc.set(v, val, from, summary, where, hcl.Range{})
}

func (sc *scope) readVarFile(path string, read func(string) ([]byte, error)) {
	if ext := filepath.Ext(path); ext != ".hcl" && ext != ".json" {
		sc.unread = true
		sc.problems = append(sc.problems, &hcl.Diagnostic{Severity: hcl.DiagError,
			Summary: "Could not guess format of " + path,
			Detail:  "A var file must be suffixed with `.hcl` or `.json`."})
		return
	}
	sc.parser.texts.Quiet(template.Display(path))
	_, parts, diags := sc.parser.parse(path, read)
	sc.problems = append(sc.problems, diags...)
	sc.unread = sc.unread || diags.HasErrors()
	for _, body := range parts {
		sc.readVarBody(body)
	}
}

func (sc *scope) readVarBody(body hcl.Body) {
	content, rest, _ := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "variable",
		LabelNames: []string{"name"}}}})
	if len(content.Blocks) > 0 {
		sc.problems = append(sc.problems, template.ErrorfAt(
			content.Blocks[0].DefRange,
			"Variable declaration in a .pkrvar file",
			"A .pkrvar file is used to assign values to variables that have already been declared in .pkr files, not to declare new variables. To declare variable %q, place this block in one of your .pkr files.",
			content.Blocks[0].Labels[0],
		))
		return
	}
	attrs, diags := rest.JustAttributes()
	sc.problems = append(sc.problems, diags...)
	for _, attr := range inOrder(attrs) {
		v := sc.variables[attr.Name]
		if v == nil {
			if sc.WarnUndeclared {
				sc.problems = append(sc.problems, &hcl.Diagnostic{Severity: hcl.DiagWarning,
					Summary: "Undefined variable", Subject: attr.Range.Ptr(),
					Detail: fmt.Sprintf(
						"The variable %q was set but was not declared as an input variable.%s",
						attr.Name,
						sc.nearVariable(attr.Name),
					)})
			}
			continue
		}
		val, diags := attr.Expr.Value(nil)
		sc.problems = append(sc.problems, diags...)
		if !diags.HasErrors() {
			sc.set(v, val, "varfile", "Invalid value for variable", "variable file", attr.Expr.Range())
		}
	}
}

// checkVariables reports variables without a value and values that break a rule.
func (sc *scope) checkVariables() (diags hcl.Diagnostics) {
	for _, name := range sc.order {
		v, g := sc.variables[name], sc.vars[name]
		if g.value == cty.NilVal {
			if sc.unread {
				sc.spoil(v) // the file may have its value
			} else {
				diags = append(diags, sc.unset(v))
			}
			continue
		}
		if v.sensitive && hideAll(g.value, sc.Hide) {
			diags = append(diags, template.ShortSecret(v.rng, fmt.Sprintf("The value of the variable %q", name)))
		}
		if len(v.rules) == 0 {
			continue
		}
		ctx := &hcl.EvalContext{Functions: function.Functions(function.Options{Dir: ".", Start: sc.Start,
			Secrets: sc.Secrets, World: sc.World, Hide: sc.Hide, Secret: sc.Plain}),
			Variables: map[string]cty.Value{"var": cty.ObjectVal(map[string]cty.Value{name: schema.Bare(g.value)})}}
		for _, rule := range v.rules {
			diags = append(diags, v.check(g, rule, ctx)...)
		}
	}
	return diags
}

// unset is the problem of a variable without a value, and how to give it one.
func (sc *scope) unset(v *variable) *hcl.Diagnostic {
	summary := fmt.Sprintf("Unset variable %q", v.name)
	if m := sc.called; m != nil {
		return template.ErrorfAt(m.blk.DefRange, summary, "The module %q needs a value for its variable %q, "+
			"which is declared at %s:%d. Give it in this block: %s = ...", m.name, v.name, v.rng.Filename,
			v.rng.Start.Line, v.name)
	}
	return template.ErrorfAt(v.rng, summary, "A used variable must be set or have a default value; see "+
		"https://packer.io/docs/templates/hcl_templates/syntax for details. Give it one with -var '%s=...', a "+
		"-var-file or PKR_VAR_%s.", v.name, v.name)
}

func (v *variable) check(g given, rule variableRule, ctx *hcl.EvalContext) hcl.Diagnostics {
	val, diags := rule.condition.Value(ctx)
	if diags.HasErrors() {
		return diags
	}
	ok, err := convert.Convert(val, cty.Bool)
	if err != nil || ok.IsNull() {
		return hcl.Diagnostics{template.ErrorAt(rule.condition.Range(), "Invalid variable validation result",
			"A validation condition is true or false.")}
	}
	if !ok.IsKnown() || ok.True() {
		return nil
	}
	at := v.rng
	if g.at.Filename != "" {
		at = g.at
	}
	return hcl.Diagnostics{template.ErrorfAt(
		at,
		fmt.Sprintf("Invalid value for %s variable", g.from),
		"%s\n\nThis was checked by the validation rule at %s:%d.",
		rule.message,
		rule.rng.Filename,
		rule.rng.Start.Line,
	)}
}

// hideAll hides every text and number inside a value, and reports whether one of them
// is too short for that.
func hideAll(v cty.Value, hide func(string)) (short bool) {
	schema.Leaves(v, "", func(_, text string, _ bool) {
		if redact.Given(text, hide) {
			short = true
		}
	})
	return short
}

func inOrder(attrs hcl.Attributes) []*hcl.Attribute {
	var all []*hcl.Attribute
	for _, a := range attrs {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *hcl.Attribute) int {
		if a.NameRange.Filename != b.NameRange.Filename {
			return strings.Compare(a.NameRange.Filename, b.NameRange.Filename)
		}
		return a.NameRange.Start.Byte - b.NameRange.Start.Byte
	})
	return all
}
