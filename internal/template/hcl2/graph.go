package hcl2

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"kiln"
	"kiln/internal/template"
	"kiln/schema"
)

// local is a computed value.
type local struct {
	name      string
	expr      hcl.Expression
	sensitive bool
	rng       hcl.Range
}

// dataBlock is a data source.
type dataBlock struct {
	typ, name string
	blk       *hcl.Block
}

func (p *parsed) addLocal(l *local) {
	if old := p.locals[l.name]; old != nil {
		p.problems = append(p.problems, template.ErrorfAt(l.rng, "Duplicate local definition",
			"Local variable %q is defined twice; the other definition is at %s.", l.name, old.rng))
		return
	}
	p.locals[l.name] = l
}

func (p *parsed) readLocals(blk *hcl.Block) {
	attrs, diags := blk.Body.JustAttributes()
	p.problems = append(p.problems, diags...)
	for _, attr := range inOrder(attrs) {
		p.addLocal(&local{name: attr.Name, expr: attr.Expr, rng: attr.NameRange})
	}
}

var localSchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "expression", Required: true},
	{Name: "sensitive"}}}

func (p *parsed) readLocal(blk *hcl.Block) {
	content, diags := blk.Body.Content(localSchema)
	p.problems = append(p.problems, diags...)
	l := &local{name: blk.Labels[0], rng: blk.DefRange}
	if attr := content.Attributes["sensitive"]; attr != nil {
		v, diags := attr.Expr.Value(nil)
		p.problems = append(p.problems, diags...)
		l.sensitive = !diags.HasErrors() && v.Type() == cty.Bool && v.IsKnown() && !v.IsNull() && v.True()
	}
	if attr := content.Attributes["expression"]; attr != nil {
		l.expr = attr.Expr
		p.addLocal(l)
	}
}

func (p *parsed) readData(blk *hcl.Block) {
	key := [2]string{blk.Labels[0], blk.Labels[1]}
	if old := p.data[key]; old != nil {
		p.problems = append(p.problems, template.ErrorfAt(
			blk.DefRange,
			"Duplicate data block",
			"This data block has the same type and name as a previous block declared at %s. Each data must have a unique name per type.",
			old.blk.DefRange,
		))
		return
	}
	p.data[key] = &dataBlock{typ: key[0], name: key[1], blk: blk}
}

// evaluate computes locals and data sources in the order of what they refer to.
func (sc *scope) evaluate(ctx context.Context) (diags hcl.Diagnostics) {
	g := &graph{sc: sc, ctx: ctx, state: map[string]int{}, deps: map[string][]string{}}
	var names []string
	for name := range sc.locals {
		names = append(names, "local."+name)
	}
	for key := range sc.data {
		names = append(names, "data."+key[0]+"."+key[1])
	}
	for _, m := range sc.modules {
		names = append(names, "module."+m.name)
	}
	slices.Sort(names)
	if sc.Sequential {
		// As before 1.12: data first.
		slices.SortStableFunc(names, func(a, b string) int { return strings.Compare(a[:1], b[:1]) })
	}
	for _, name := range names {
		g.visit(name, nil, hcl.Range{})
	}
	g.run()
	return g.diags
}

// graph walks the references among locals and data sources, depth first.
type graph struct {
	sc    *scope
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
		summary, detail := "Cycle: "+strings.Join(cycle,
			", "), "These values refer to each other in a circle, so none of them can be computed first."
		if len(cycle) == 1 {
			summary, detail = "Self reference: "+name, "A value cannot be computed from itself."
		}
		g.diags = append(g.diags, template.ErrorfAt(from, "failed to prepare execution graph", "%s. %s",
			summary, detail))
		return
	}
	g.state[name] = 1
	before := len(g.diags)
	path = append(path, name)
	for _, ref := range g.references(name) {
		if ref.target == "" || !g.exists(ref.target) {
			if ref.target != "" {
				g.diags = append(g.diags, template.ErrorfAt(ref.rng, "failed to prepare execution graph",
					"could not get dependency %q for %q, %q missing in template%s",
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
	waiting := map[string]bool{}
	for _, name := range left {
		waiting[name] = true
	}
	ready := func(name string) bool {
		return !slices.ContainsFunc(g.deps[name], func(dep string) bool { return !done[dep] && waiting[dep] })
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
	values := make([]cty.Value, len(names))
	diags := make([]hcl.Diagnostics, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		d := g.source(name)
		if b := g.sc.From; b != nil {
			if v, ok := b.Data[g.sc.place+name]; ok {
				var err error
				if values[i], err = unbundled(v); err == nil {
					continue
				}
			}
		}
		var src kiln.DataSource
		g.sc.World.In(g.sc.place+name, func() { src, diags[i] = g.sc.prepare(d) })
		values[i] = cty.DynamicVal
		if diags[i].HasErrors() {
			continue
		}
		if !g.sc.evaluateData {
			values[i] = shape(src)
			continue
		}
		wg.Go(func() {
			out, err := src.Read(g.ctx)
			if err != nil {
				diags[i] = append(diags[i], template.ErrorfAt(d.blk.DefRange, err.Error(),
					"The data source %q %q could not be read.", d.typ, d.name))
				return
			}
			// It may give back what it was asked with.
			values[i] = schema.Marked(schema.ToCty(out), g.sc.Secret)
		})
	}
	wg.Wait()
	for i, name := range names {
		d := g.source(name)
		g.sc.read[[2]string{d.typ, d.name}] = values[i]
		g.diags = append(g.diags, diags[i]...)
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
	for name := range g.sc.locals {
		known = append(known, "local."+name)
	}
	for key := range g.sc.data {
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
		g.sc.computed[l.name] = cty.DynamicVal
	} else if d := g.source(name); d != nil {
		g.sc.read[[2]string{d.typ, d.name}] = cty.DynamicVal
	} else if m := g.module(name); m != nil {
		g.sc.outs[m.name] = cty.DynamicVal
	}
}

func (g *graph) module(name string) *module {
	rest, ok := strings.CutPrefix(name, "module.")
	if !ok {
		return nil
	}
	return g.sc.module(rest)
}

func (g *graph) local(name string) *local {
	rest, ok := strings.CutPrefix(name, "local.")
	if !ok {
		return nil
	}
	return g.sc.locals[rest]
}

func (g *graph) source(name string) *dataBlock {
	parts := strings.SplitN(name, ".", 3)
	if len(parts) != 3 {
		return nil
	}
	return g.sc.data[[2]string{parts[1], parts[2]}]
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
		ctx := &hcl.EvalContext{Functions: g.sc.functions(), Variables: g.sc.values(append([]hcl.Traversal{},
			l.expr.Variables()...)...)}
		val, diags := l.expr.Value(ctx)
		g.diags = append(g.diags, g.sc.hints(diags)...)
		if diags.HasErrors() {
			val = cty.DynamicVal
		}
		if l.sensitive {
			if hideAll(val, g.sc.Hide) {
				g.diags = append(g.diags, template.ShortSecret(l.rng,
					fmt.Sprintf("The value of the local %q", l.name)))
			}
			val = schema.Sensitive(val)
		}
		g.sc.computed[l.name] = val
		return
	}
	if m := g.module(name); m != nil {
		g.diags = append(g.diags, g.sc.computeModule(g.ctx, m)...)
		return
	}
}

// prepare makes a data source with its configuration.
func (sc *scope) prepare(d *dataBlock) (kiln.DataSource, hcl.Diagnostics) {
	make, ok := sc.Components.DataSources[sc.resolve(d.typ)]
	if !ok {
		var known []string
		for name := range sc.Components.DataSources {
			known = append(known, name)
		}
		return nil, hcl.Diagnostics{template.ErrorAt(d.blk.LabelRanges[0], "Unknown data type "+d.typ,
			sc.unknownType("data source", d.typ, known))}
	}
	src := make()
	text := sc.interpolation("", "")
	diags := sc.hints(template.DecodeData(d.blk.Body, d.blk.DefRange, sc.context(nil), text, src))
	for _, diag := range diags {
		if diag.Summary == "" {
			diag.Summary = fmt.Sprintf("Failed preparing data source %q %q", d.typ, d.name)
		}
	}
	return src, diags
}
