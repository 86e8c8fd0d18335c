package template

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"kiln"
	"kiln/internal/template/interpolate"
)

// resolveAll gives every variable, local, data source, module and source its value.
func (h *hclTemplate) resolveAll(ctx context.Context) hcl.Diagnostics {
	h.settled = nil
	diags := append(slices.Clone(h.late), h.checkVariables()...)
	diags = append(diags, h.evaluate(ctx)...)
	h.settled = h.context(nil).Variables
	return append(diags, h.expandSources()...)
}

// candidate is a build that a template has, whether it is selected or not.
type candidate struct {
	name  string
	b     *hclBuild
	u     hclUse
	owner *hclTemplate
}

// candidates lists the builds of a template and of its modules, and describes the
// blocks for inspect.
func (h *hclTemplate) candidates(prefix string, t *Template) (all []candidate, diags hcl.Diagnostics) {
	for _, blk := range h.builders {
		builds, more := h.readBuilds(blk, prefix)
		diags = append(diags, more...)
		for _, b := range builds {
			b.describe(t)
			for _, u := range b.uses {
				name := u.typ + "." + u.alias
				if b.name != "" {
					name = b.name + "." + name
				}
				h.artifacts.add(b.name, u.alias, name)
				all = append(all, candidate{name, b, u, h})
			}
		}
	}
	for _, m := range h.modules {
		sub, more := m.child.candidates(instance{key: m.name}.named(prefix), t)
		all, diags = append(all, sub...), append(diags, more...)
	}
	return all, diags
}

// builds resolves everything and makes the selected builds: phases 8 to 11 of
// templates.md 3.2.
func (h *hclTemplate) builds(ctx context.Context) ([]*Build, Diagnostics) {
	diags := h.resolveAll(ctx)
	h.describeValues()
	h.t.Blocks, h.artifacts.order = nil, nil
	clear(h.artifacts.all)
	all, more := h.candidates("", h.t)
	diags = append(diags, more...)
	if len(h.builders) == 0 && len(all) == 0 {
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Missing build block", Detail: "A build block with one or more sources is required for executing a build."})
	}
	if h.registry != nil {
		diags = append(diags, h.checkRegistry(h.registry, h.context(nil), false)...)
	}
	var out []*Build
	var chosen selection
	excluded := map[string]bool{}
	for _, c := range all {
		chosen.all = append(chosen.all, c.name)
		ok, bad := chosen.match(h.Only, c.name, true)
		if bad == nil && ok {
			excluded[c.name], bad = chosen.match(h.Except, c.name, false)
		}
		if bad != nil {
			return nil, h.files.convert(append(diags, bad)).tidy()
		}
		if !ok || excluded[c.name] {
			continue
		}
		build, more := c.owner.build(c.b, c.u, c.name)
		diags = append(diags, more...)
		if build != nil {
			out = append(out, build)
		}
	}
	out, more = needed(out, all, excluded)
	diags = append(diags, more...)
	diags = append(diags, chosen.unmatched(h.Only, "only")...)
	problems := h.files.convert(h.hints(diags))
	if problems.HasErrors() {
		// A template is valid as a whole or not at all. What is wrong with components is
		// told with the rest.
		for _, b := range out {
			problems = append(problems, b.Check()...)
		}
		out = nil
	}
	return out, problems.tidy()
}

// needed adds the builds whose artifacts the selected ones stand on, and refuses
// circles.
func needed(out []*Build, all []candidate, excluded map[string]bool) ([]*Build, hcl.Diagnostics) {
	var diags hcl.Diagnostics
	have := map[string]*Build{}
	for _, b := range out {
		have[b.Name] = b
	}
	added := false
	for i := 0; i < len(out); i++ {
		for _, need := range out[i].Needs {
			if have[need] != nil {
				continue
			}
			at := slices.IndexFunc(all, func(c candidate) bool { return c.name == need })
			if at < 0 {
				continue
			}
			if excluded[need] {
				diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: fmt.Sprintf("%s needs the artifact of %s", out[i].Name, need), Detail: "-except leaves that build out."})
				continue
			}
			diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: fmt.Sprintf("%s is built too", need), Detail: out[i].Name + " needs its artifact."})
			build, more := all[at].owner.build(all[at].b, all[at].u, need)
			diags = append(diags, more...)
			if build != nil {
				have[need], added = build, true
				out = append(out, build)
			}
		}
	}
	var order []string
	for _, c := range all {
		order = append(order, c.name)
	}
	if round := circle(have, order); round != nil {
		at := all[slices.Index(order, round[0])]
		diags = append(diags, errorf(at.b.blk.DefRange, "Cycle among builds", "%s. Each of these builds needs the artifact of the next one, so none can be made first.", strings.Join(round, " -> ")))
	}
	if added {
		slices.SortStableFunc(out, func(a, b *Build) int { return slices.Index(order, a.Name) - slices.Index(order, b.Name) })
	}
	return out, diags
}

// hints adds what to do to messages that hcl gives.
func (h *hclTemplate) hints(diags hcl.Diagnostics) hcl.Diagnostics {
	for _, d := range diags {
		if d.Summary == "Call to unknown function" && !strings.Contains(d.Detail, "Did you mean") && strings.HasSuffix(d.Detail, `named "env".`) {
			d.Detail += " The function env can only be used in the default of a variable."
		}
		if d.Summary == "Unsupported attribute" && strings.Contains(d.Detail, "This object does not have an attribute named") && d.Expression != nil {
			for _, t := range d.Expression.Variables() {
				if name := quotedName(d.Detail); t.RootName() == "var" && name != "" {
					d.Detail += fmt.Sprintf(" There is no variable %q.%s", name, h.nearVariable(name))
					d.Expression = nil
					break
				}
			}
		}
	}
	return diags
}

// build makes the build of one source.
func (h *hclTemplate) build(b *hclBuild, u hclUse, name string) (*Build, hcl.Diagnostics) {
	c := h.interpolation(u.name, u.typ)
	out := &Build{Name: name, Source: u.name, Alias: u.alias, Publish: func(a *kiln.Artifact) { h.artifacts.publish(name, a) },
		Render: func(text string, vars map[string]any) (string, error) {
			run := *c
			run.Data = vars
			return interpolate.RenderStable(text, &run)
		}}
	d := &hclDecoder{h: h, c: c, b: b, u: u, sourceOf: cty.ObjectVal(map[string]cty.Value{"name": cty.StringVal(u.alias), "type": cty.StringVal(u.typ)})}
	var diags hcl.Diagnostics
	typ := u.src.owner.resolve(u.typ)
	_, ok := h.Components.Builders[typ]
	blk := u.src.blk
	if !ok {
		diags = append(diags, errorf(blk.LabelRanges[0], "Unknown source type "+u.typ, "The builder %s is unknown by %s", u.typ, h.unknownType(u.typ, slices.Collect(maps.Keys(h.Components.Builders)))))
	} else {
		d.keys = kiln.TraitsOf(h.Components.NewBuilder(typ)).Generates
		body := u.src.body
		if u.body != nil {
			body = hcl.MergeBodies([]hcl.Body{body, u.body})
		}
		out.Builder = d.component("builder", typ, u.alias, body, blk.DefRange, u.src.owner, nil,
			func() any { return h.Components.NewBuilder(typ) })
		diags = append(diags, d.need(out, "builder", u.src.owner, u.src.body, u.body)...)
	}
	for _, s := range b.steps {
		if !s.runsFor(u) {
			continue
		}
		p, more := d.provisioner(s, "provisioner")
		diags = append(diags, more...)
		diags = append(diags, d.need(out, "provisioner", s.owner, s.body)...)
		out.Provisioners = append(out.Provisioners, p)
	}
	if b.cleanup != nil && b.cleanup.runsFor(u) {
		p, more := d.provisioner(b.cleanup, "error-cleanup-provisioner")
		diags = append(diags, more...)
		diags = append(diags, d.need(out, "provisioner", b.cleanup.owner, b.cleanup.body)...)
		out.Cleanup = p
	}
	for _, chain := range b.chains {
		steps, more := d.chain(chain)
		diags = append(diags, more...)
		for _, s := range chain {
			if s.runsFor(u) {
				diags = append(diags, d.need(out, "post-processor", s.owner, s.body)...)
			}
		}
		if len(steps) > 0 {
			out.Chains = append(out.Chains, steps)
		}
	}
	if diags.HasErrors() {
		return nil, diags
	}
	return out, diags
}

// resolve is a component's type as it is known: a required_plugins block can give
// the components of a plugin another prefix.
func (h *hclTemplate) resolve(typ string) string {
	for _, p := range h.t.Plugins {
		name := p.Source[strings.LastIndex(p.Source, "/")+1:]
		rest, ok := strings.CutPrefix(typ, p.Accessor)
		if ok && p.Accessor != name && (rest == "" || rest[0] == '-') {
			return name + rest
		}
	}
	return typ
}

// hclDecoder makes the components of one build.
type hclDecoder struct {
	h        *hclTemplate
	c        *interpolate.Context
	b        *hclBuild
	u        hclUse
	sourceOf cty.Value
	keys     []string  // that the builder generates beside the common ones
	unknown  cty.Value // generated(nil), once it was asked for
}

// need adds the builds that bodies refer to.
func (d *hclDecoder) need(b *Build, kind string, owner *hclTemplate, bodies ...hcl.Body) (diags hcl.Diagnostics) {
	for _, body := range bodies {
		if body == nil || !mentions(body, "artifact") {
			continue
		}
		found, more := d.h.artifacts.needs(body, d.context(kind, nil, owner))
		diags = append(diags, more...)
		for _, name := range found {
			if !slices.Contains(b.Needs, name) {
				b.Needs = append(b.Needs, name)
			}
		}
	}
	return diags
}

// mentions tells whether any expression of a body begins with a name.
func mentions(body hcl.Body, root string) bool {
	return slices.ContainsFunc(bodyVariables(body), func(t hcl.Traversal) bool { return t.RootName() == root })
}

// context is what a component's body may refer to. Only what is not the builder
// sees what the build generates.
func (d *hclDecoder) context(kind string, data map[string]any, owner *hclTemplate) *hcl.EvalContext {
	more := d.b.with(map[string]cty.Value{"source": d.sourceOf, "artifact": d.h.artifacts.value(false)})
	if kind == "builder" {
		more = d.u.src.with(more)
	}
	switch {
	case kind == "builder":
	case data == nil:
		if d.unknown == cty.NilVal {
			d.unknown = d.generated(nil)
		}
		more["build"] = d.unknown
	default:
		more["build"] = d.generated(data)
	}
	return owner.context(more)
}

func (d *hclDecoder) component(kind, typ, name string, body hcl.Body, rng hcl.Range, owner *hclTemplate, override func() (cty.Value, hcl.Range), make func() any) *Component {
	return &Component{Kind: kind, Type: typ, Name: name, File: rng.Filename, Line: rng.Start.Line, decode: func(data map[string]any) (any, []Unknown, Diagnostics) {
		dst := make()
		ctx := d.context(kind, data, owner)
		r := renderer{c: d.c, data: data, prepare: d.c}
		dec := r.decoder(false, ctx)
		var unknown []Unknown
		dec.Unknown = func(option string, attr *hcl.Attribute) {
			unknown = append(unknown, Unknown{option, unknownRefs(attr.Expr, ctx), attr.Range.Filename, attr.Range.Start.Line})
		}
		pos, diags := dec.Body(expand(body, ctx), dst)
		if override != nil {
			if v, at := override(); v != cty.NilVal {
				diags = append(diags, dec.Value(v, at, dst)...)
			}
		}
		diags = d.h.hints(diags)
		diags = append(diags, validate(dst, pos, rng, diags)...)
		for _, diag := range diags {
			if diag.Summary != "" {
				continue
			}
			if kind == "builder" {
				diag.Summary, diag.Detail = diag.Detail, ""
			} else {
				diag.Summary = fmt.Sprintf("Failed preparing %s-block %q %q", kind, typ, name)
			}
		}
		hide(dst, d.h.Hide)
		return dst, unknown, d.h.files.convert(diags)
	}}
}

// generated is what the build generates, as expressions see it. Nil: nothing is
// known yet.
func (d *hclDecoder) generated(data map[string]any) cty.Value {
	build := map[string]cty.Value{"name": cty.StringVal(d.b.name)}
	for _, key := range append(slices.Clone(commonData), d.keys...) {
		build[key] = cty.UnknownVal(cty.String)
		if data == nil {
			continue
		}
		build[key] = cty.StringVal("<unknown>")
		switch v := data[key].(type) {
		case nil:
		case string:
			build[key] = cty.StringVal(v)
		case int:
			build[key] = cty.NumberIntVal(int64(v))
		case bool:
			build[key] = cty.BoolVal(v)
		default:
			build[key] = cty.StringVal(fmt.Sprint(v))
		}
	}
	return cty.ObjectVal(build)
}

// unknownRefs lists the references of an expression that have no value yet.
func unknownRefs(expr hcl.Expression, ctx *hcl.EvalContext) (refs []string) {
	for _, t := range expr.Variables() {
		v, diags := t.TraverseAbs(ctx)
		text := traversalText(t)
		if !diags.HasErrors() && !v.IsWhollyKnown() && !slices.Contains(refs, text) {
			refs = append(refs, text)
		}
	}
	return refs
}

func traversalText(t hcl.Traversal) string {
	text := t.RootName()
	for i := 1; i < len(t); i++ {
		switch s := t[i].(type) {
		case hcl.TraverseAttr:
			text += "." + s.Name
		case hcl.TraverseIndex:
			text += "[" + showValue(s.Key, false) + "]"
		}
	}
	return text
}

func (d *hclDecoder) provisioner(s *hclStep, kind string) (*Provisioner, hcl.Diagnostics) {
	typ := s.owner.resolve(s.typ)
	make, ok := d.h.Components.Provisioners[typ]
	if !ok {
		return nil, hcl.Diagnostics{errorf(s.rng, fmt.Sprintf("Unknown %s type %q", kind, s.typ), "The provisioner %s is unknown by %s",
			s.typ, s.owner.unknownType(s.typ, slices.Collect(maps.Keys(d.h.Components.Provisioners))))}
	}
	var override func() (cty.Value, hcl.Range)
	if s.override != cty.NilVal {
		if v, ok := s.override.AsValueMap()[d.u.alias]; ok && !v.IsNull() {
			override = func() (cty.Value, hcl.Range) { return v, s.overrideAt }
		}
	}
	return &Provisioner{PauseBefore: s.pause, Timeout: s.timeout, MaxRetries: s.retries, ContinueOnError: s.goOn, NoCache: s.noCache,
		Component: d.component("provisioner", typ, s.name, s.body, s.rng, s.owner, override, func() any { return make() })}, nil
}

// chain makes a chain of post-processors. One that -except names ends it.
func (d *hclDecoder) chain(chain []*hclStep) (out []*PostProcessor, diags hcl.Diagnostics) {
	for _, s := range chain {
		name := s.name
		if name == "" {
			name = s.typ
		}
		var sel selection
		if excluded, bad := sel.match(d.h.Except, name, false); bad != nil {
			return nil, hcl.Diagnostics{bad}
		} else if excluded {
			break
		}
		if !s.runsFor(d.u) {
			continue
		}
		typ := s.owner.resolve(s.typ)
		make, ok := d.h.Components.PostProcessors[typ]
		if !ok {
			diags = append(diags, errorf(s.rng, fmt.Sprintf("Unknown post-processor type %q", s.typ), "The post-processor %s is unknown by %s",
				s.typ, s.owner.unknownType(s.typ, slices.Collect(maps.Keys(d.h.Components.PostProcessors)))))
			continue
		}
		out = append(out, &PostProcessor{Keep: s.keep, Component: d.component("post-processor", typ, s.name, s.body, s.rng, s.owner, nil, func() any { return make() })})
	}
	return out, diags
}
