package template

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"kiln"
	"kiln/internal/template/interpolate"
	"kiln/schema"
)

// hclLocal is a computed value.
type hclLocal struct {
	name      string
	expr      hcl.Expression
	sensitive bool
	rng       hcl.Range
	value     cty.Value
}

// hclData is a data source.
type hclData struct {
	typ, name string
	blk       *hcl.Block
	value     cty.Value
}

func (h *hclTemplate) addLocal(l *hclLocal) {
	if old := h.locals[l.name]; old != nil {
		h.problems = append(h.problems, errorf(l.rng, "Duplicate local definition", "Local variable %q is defined twice; the other definition is at %s.", l.name, old.rng))
		return
	}
	h.locals[l.name] = l
}

func (h *hclTemplate) readLocals(blk *hcl.Block) {
	attrs, diags := blk.Body.JustAttributes()
	h.problems = append(h.problems, diags...)
	for _, attr := range inOrder(attrs) {
		h.addLocal(&hclLocal{name: attr.Name, expr: attr.Expr, rng: attr.NameRange})
	}
}

var localSchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "expression", Required: true}, {Name: "sensitive"}}}

func (h *hclTemplate) readLocal(blk *hcl.Block) {
	content, diags := blk.Body.Content(localSchema)
	h.problems = append(h.problems, diags...)
	l := &hclLocal{name: blk.Labels[0], rng: blk.DefRange}
	if attr := content.Attributes["sensitive"]; attr != nil {
		v, diags := attr.Expr.Value(nil)
		h.problems = append(h.problems, diags...)
		l.sensitive = !diags.HasErrors() && v.Type() == cty.Bool && v.IsKnown() && !v.IsNull() && v.True()
	}
	if attr := content.Attributes["expression"]; attr != nil {
		l.expr = attr.Expr
		h.addLocal(l)
	}
}

func (h *hclTemplate) readData(blk *hcl.Block) {
	key := [2]string{blk.Labels[0], blk.Labels[1]}
	if old := h.data[key]; old != nil {
		h.problems = append(h.problems, errorf(blk.DefRange, "Duplicate data block",
			"This data block has the same type and name as a previous block declared at %s. Each data must have a unique name per type.", old.blk.DefRange))
		return
	}
	h.data[key] = &hclData{typ: key[0], name: key[1], blk: blk}
}

// evaluate computes locals and data sources in the order of what they refer to.
func (h *hclTemplate) evaluate(ctx context.Context) (diags hcl.Diagnostics) {
	g := &graph{h: h, ctx: ctx, state: map[string]int{}, deps: map[string][]string{}}
	var names []string
	for name := range h.locals {
		names = append(names, "local."+name)
	}
	for key := range h.data {
		names = append(names, "data."+key[0]+"."+key[1])
	}
	for _, m := range h.modules {
		names = append(names, "module."+m.name)
	}
	slices.Sort(names)
	if h.Sequential {
		// As before 1.12: data first.
		slices.SortStableFunc(names, func(a, b string) int { return strings.Compare(a[:1], b[:1]) })
	}
	for _, name := range names {
		g.visit(name, nil, hcl.Range{})
	}
	g.run()
	for _, l := range h.locals {
		if l.sensitive && l.value != cty.NilVal {
			hideAll(l.value, h.Hide)
		}
	}
	return g.diags
}

// graph walks the references among locals and data sources, depth first.
type graph struct {
	h     *hclTemplate
	ctx   context.Context
	state map[string]int // 0 new, 1 on the way, 2 done
	order []string       // nodes that can be computed, each after what it refers to
	deps  map[string][]string
	diags hcl.Diagnostics
}

// visit evaluates a node after all that it refers to. The path is what led to it.
func (g *graph) visit(name string, path []string, from hcl.Range) {
	switch g.state[name] {
	case 2:
		return
	case 1:
		cycle := path[slices.Index(path, name):]
		summary, detail := "Cycle: "+strings.Join(cycle, ", "), "These values refer to each other in a circle, so none of them can be computed first."
		if len(cycle) == 1 {
			summary, detail = "Self reference: "+name, "A value cannot be computed from itself."
		}
		g.diags = append(g.diags, errorf(from, "failed to prepare execution graph", "%s. %s", summary, detail))
		return
	}
	g.state[name] = 1
	before := len(g.diags)
	path = append(path, name)
	for _, ref := range g.references(name) {
		if ref.target == "" || !g.exists(ref.target) {
			if ref.target != "" {
				g.diags = append(g.diags, errorf(ref.rng, "failed to prepare execution graph", "could not get dependency %q for %q, %q missing in template%s",
					ref.target, name, ref.target, g.near(ref.target)))
			}
			continue
		}
		g.visit(ref.target, path, ref.rng)
		g.deps[name] = append(g.deps[name], ref.target)
	}
	g.state[name] = 2
	if len(g.diags) > before {
		g.fail(name)
		return
	}
	g.order = append(g.order, name)
}

// run computes the nodes in order. Data sources that do not wait for each other are
// read side by side.
func (g *graph) run() {
	done := map[string]bool{}
	left := g.order
	ready := func(name string) bool {
		return !slices.ContainsFunc(g.deps[name], func(dep string) bool { return !done[dep] && slices.Contains(left, dep) })
	}
	for len(left) > 0 {
		var data, rest []string
		computed := false
		for _, name := range left {
			switch {
			case !ready(name):
				rest = append(rest, name)
			case g.source(name) != nil:
				data = append(data, name)
			default:
				g.compute(name)
				done[name], computed = true, true
			}
		}
		if computed {
			// More data sources may be ready now.
			left = append(data, rest...)
			continue
		}
		if len(data) == 0 {
			return // cannot be: what is left waits for nothing
		}
		g.readAll(data)
		for _, name := range data {
			done[name] = true
		}
		left = rest
	}
}

// readAll reads data sources side by side.
func (g *graph) readAll(names []string) {
	sources := make([]*hclData, len(names))
	components := make([]kiln.DataSource, len(names))
	diags := make([]hcl.Diagnostics, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		d := g.source(name)
		sources[i] = d
		components[i], diags[i] = g.h.prepare(d)
		if diags[i].HasErrors() {
			d.value = cty.DynamicVal
			continue
		}
		if !g.h.EvaluateData {
			d.value = shape(components[i])
			continue
		}
		wg.Go(func() {
			out, err := components[i].Read(g.ctx)
			if err != nil {
				d.value = cty.DynamicVal
				diags[i] = append(diags[i], errorf(d.blk.DefRange, err.Error(), "The data source %q %q could not be read.", d.typ, d.name))
				return
			}
			d.value = schema.ToCty(out)
		})
	}
	wg.Wait()
	for _, more := range diags {
		g.diags = append(g.diags, more...)
	}
}

// shape is the value of a data source that is not read: of its type, where that is
// known.
func shape(src kiln.DataSource) cty.Value {
	if shape := kiln.TraitsOf(src).Shape; shape != nil {
		return cty.UnknownVal(schema.ToCty(shape).Type())
	}
	return cty.DynamicVal
}

func (g *graph) near(target string) string {
	var known []string
	for name := range g.h.locals {
		known = append(known, "local."+name)
	}
	for key := range g.h.data {
		known = append(known, "data."+key[0]+"."+key[1])
	}
	if near := schema.Suggest(target, known); near != "" {
		return fmt.Sprintf(". Did you mean %q?", near)
	}
	return ""
}

// fail gives a node that could not be computed an unknown value, so that what uses
// it does not fail again for the same reason.
func (g *graph) fail(name string) {
	if l := g.local(name); l != nil {
		l.value = cty.DynamicVal
	} else if d := g.source(name); d != nil {
		d.value = cty.DynamicVal
	} else if m := g.module(name); m != nil {
		m.value = cty.DynamicVal
	}
}

func (g *graph) module(name string) *hclModule {
	rest, ok := strings.CutPrefix(name, "module.")
	if !ok {
		return nil
	}
	return g.h.module(rest)
}

func (g *graph) local(name string) *hclLocal {
	rest, ok := strings.CutPrefix(name, "local.")
	if !ok {
		return nil
	}
	return g.h.locals[rest]
}

func (g *graph) source(name string) *hclData {
	parts := strings.SplitN(name, ".", 3)
	if len(parts) != 3 {
		return nil
	}
	return g.h.data[[2]string{parts[1], parts[2]}]
}

func (g *graph) exists(name string) bool {
	return g.local(name) != nil || g.source(name) != nil || g.module(name) != nil
}

type reference struct {
	target string
	rng    hcl.Range
}

func (g *graph) references(name string) (refs []reference) {
	var all []hcl.Traversal
	if l := g.local(name); l != nil {
		all = l.expr.Variables()
	} else if d := g.source(name); d != nil {
		all = bodyVariables(d.blk.Body)
	} else if m := g.module(name); m != nil {
		for _, attr := range m.inputs {
			all = append(all, attr.Expr.Variables()...)
		}
	}
	for _, t := range all {
		refs = append(refs, reference{target(t), t.SourceRange()})
	}
	return refs
}

// target is what a reference means, "" where it is neither local nor data.
func target(t hcl.Traversal) string {
	attr := func(i int) string {
		if i < len(t) {
			if a, ok := t[i].(hcl.TraverseAttr); ok {
				return a.Name
			}
		}
		return ""
	}
	switch t.RootName() {
	case "local":
		if n := attr(1); n != "" {
			return "local." + n
		}
	case "data":
		if typ, n := attr(1), attr(2); typ != "" && n != "" {
			return "data." + typ + "." + n
		}
	case "module":
		if n := attr(1); n != "" {
			return "module." + n
		}
	}
	return ""
}

// bodyVariables lists the references in a body, nested blocks too.
func bodyVariables(body hcl.Body) (all []hcl.Traversal) {
	for _, expr := range expressions(body) {
		all = append(all, expr.Variables()...)
	}
	return all
}

func (g *graph) compute(name string) {
	if l := g.local(name); l != nil {
		val, diags := l.expr.Value(g.h.context(nil))
		g.diags = append(g.diags, g.h.hints(diags)...)
		l.value = val
		if diags.HasErrors() {
			l.value = cty.DynamicVal
		}
		return
	}
	if m := g.module(name); m != nil {
		g.diags = append(g.diags, g.h.computeModule(g.ctx, m)...)
		return
	}
}

// prepare makes a data source with its configuration.
func (h *hclTemplate) prepare(d *hclData) (kiln.DataSource, hcl.Diagnostics) {
	make, ok := h.Components.DataSources[h.resolve(d.typ)]
	if !ok {
		var known []string
		for name := range h.Components.DataSources {
			known = append(known, name)
		}
		return nil, hcl.Diagnostics{errorf(d.blk.LabelRanges[0], "Unknown data type "+d.typ, "The data source %s is unknown by %s", d.typ, h.unknownType(d.typ, known))}
	}
	src := make()
	r := renderer{c: h.interpolation("", ""), prepare: h.interpolation("", "")}
	dec := r.decoder(false, h.context(nil))
	pos, diags := dec.Body(d.blk.Body, src)
	diags = append(h.hints(diags), validate(src, pos, d.blk.DefRange, diags)...)
	for _, diag := range diags {
		if diag.Summary == "" {
			diag.Summary = fmt.Sprintf("Failed preparing data source %q %q", d.typ, d.name)
		}
	}
	return src, diags
}

// context is what expressions may refer to: what is declared, and more values.
func (h *hclTemplate) context(more map[string]cty.Value) *hcl.EvalContext {
	if h.settled != nil {
		ctx := &hcl.EvalContext{Functions: h.functions(), Variables: maps.Clone(h.settled)}
		maps.Copy(ctx.Variables, more)
		return ctx
	}
	vars, locals := map[string]cty.Value{}, map[string]cty.Value{}
	for name, v := range h.variables {
		vars[name] = v.value
		if v.value == cty.NilVal {
			vars[name] = cty.UnknownVal(v.typ)
		}
	}
	for name, l := range h.locals {
		locals[name] = l.value
		if l.value == cty.NilVal {
			locals[name] = cty.DynamicVal
		}
	}
	data := map[string]map[string]cty.Value{}
	for key, d := range h.data {
		if data[key[0]] == nil {
			data[key[0]] = map[string]cty.Value{}
		}
		data[key[0]][key[1]] = d.value
		if d.value == cty.NilVal {
			data[key[0]][key[1]] = cty.DynamicVal
		}
	}
	types := map[string]cty.Value{}
	for typ, names := range data {
		types[typ] = cty.ObjectVal(names)
	}
	modules := map[string]cty.Value{}
	for _, m := range h.modules {
		modules[m.name] = m.value
		if m.value == cty.NilVal {
			modules[m.name] = cty.DynamicVal
		}
	}
	cwd, _ := os.Getwd()
	ctx := &hcl.EvalContext{Functions: h.functions(), Variables: map[string]cty.Value{
		"var": cty.ObjectVal(vars), "local": cty.ObjectVal(locals), "data": cty.ObjectVal(types),
		"path": cty.ObjectVal(map[string]cty.Value{"root": cty.StringVal(h.dir), "cwd": cty.StringVal(filepath.ToSlash(cwd))}),
		"packer": cty.ObjectVal(map[string]cty.Value{"version": cty.StringVal(h.PackerVersion),
			"versionFingerprint": cty.UnknownVal(cty.String), "iterationID": cty.UnknownVal(cty.String)}),
	}}
	if len(modules) > 0 {
		ctx.Variables["module"] = cty.ObjectVal(modules)
	}
	maps.Copy(ctx.Variables, more)
	return ctx
}

// interpolation is what {{ }} text may use in an HCL2 template.
func (h *hclTemplate) interpolation(name, typ string) *interpolate.Context {
	return &interpolate.Context{NoUser: true, BuildName: name, BuildType: typ, PackerVersion: h.PackerVersion, Start: h.Start}
}
