package template

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/dynblock"
	"github.com/zclconf/go-cty/cty"

	"kiln"
	"kiln/internal/template/interpolate"
)

// builds resolves everything and makes the selected builds: phases 8 to 11 of
// templates.md 3.2.
func (h *hclTemplate) builds(ctx context.Context) ([]*Build, Diagnostics) {
	diags := h.checkVariables()
	diags = append(diags, h.evaluate(ctx)...)
	h.describeValues()
	var out []*Build
	var chosen selection
	if len(h.builders) == 0 {
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Missing build block", Detail: "A build block with one or more sources is required for executing a build."})
	}
	for i, blk := range h.builders {
		b, more := h.readBuild(blk)
		diags = append(diags, more...)
		h.describeBuild(i, b)
		for _, u := range b.uses {
			name := u.typ + "." + u.alias
			if b.name != "" {
				name = b.name + "." + name
			}
			chosen.all = append(chosen.all, name)
			if ok, bad := chosen.match(h.Only, name, true); bad != nil {
				return nil, h.files.convert(append(diags, bad)).tidy()
			} else if !ok {
				continue
			}
			if excluded, bad := chosen.match(h.Except, name, false); bad != nil {
				return nil, h.files.convert(append(diags, bad)).tidy()
			} else if excluded {
				continue
			}
			build, more := h.build(b, u, name)
			diags = append(diags, more...)
			if build != nil {
				out = append(out, build)
			}
		}
	}
	diags = append(diags, chosen.unmatched(h.Only, "only")...)
	problems := h.files.convert(h.hints(diags)).tidy()
	if problems.HasErrors() {
		// A template is valid as a whole or not at all.
		return nil, problems
	}
	return out, problems
}

// hints adds what to do to messages that hcl gives.
func (h *hclTemplate) hints(diags hcl.Diagnostics) hcl.Diagnostics {
	for _, d := range diags {
		if d.Summary == "Call to unknown function" && !strings.Contains(d.Detail, "Did you mean") && strings.Contains(d.Detail, `"env"`) {
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
	out := &Build{Name: name, Source: u.name, Alias: u.alias, Render: func(text string, vars map[string]any) (string, error) {
		run := *c
		run.Data = vars
		return interpolate.RenderStable(text, &run)
	}}
	d := &hclDecoder{h: h, c: c, b: b, u: u, sourceOf: cty.ObjectVal(map[string]cty.Value{"name": cty.StringVal(u.alias), "type": cty.StringVal(u.typ)})}
	var diags hcl.Diagnostics
	typ := h.resolve(u.typ)
	make, ok := h.Components.Builders[typ]
	blk := h.sources[[2]string{u.typ, u.name}]
	if !ok {
		diags = append(diags, errorf(blk.LabelRanges[0], "Unknown source type "+u.typ, "The builder %s is unknown by %s", u.typ, unknownHint(u.typ, slices.Collect(maps.Keys(h.Components.Builders)))))
	} else {
		if g, is := make().(kiln.Generator); is {
			d.keys = g.Generates()
		}
		body := blk.Body
		if u.body != nil {
			body = hcl.MergeBodies([]hcl.Body{blk.Body, u.body})
		}
		out.Builder = d.component("builder", typ, u.alias, body, blk.DefRange, nil, func() any { return make() })
	}
	for _, s := range b.steps {
		if !s.runsFor(u) {
			continue
		}
		p, more := d.provisioner(s, "provisioner")
		diags = append(diags, more...)
		out.Provisioners = append(out.Provisioners, p)
	}
	if b.cleanup != nil && b.cleanup.runsFor(u) {
		p, more := d.provisioner(b.cleanup, "error-cleanup-provisioner")
		diags = append(diags, more...)
		out.Cleanup = p
	}
	for _, chain := range b.chains {
		steps, more := d.chain(chain)
		diags = append(diags, more...)
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
	keys     []string // that the builder generates beside the common ones
}

// context is what a component's body may refer to. Only what is not the builder
// sees what the build generates.
func (d *hclDecoder) context(kind string, data map[string]any) *hcl.EvalContext {
	more := map[string]cty.Value{"source": d.sourceOf}
	if kind != "builder" {
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
		more["build"] = cty.ObjectVal(build)
	}
	return d.h.context(more)
}

func (d *hclDecoder) component(kind, typ, name string, body hcl.Body, rng hcl.Range, override func() (cty.Value, hcl.Range), make func() any) *Component {
	return &Component{Kind: kind, Type: typ, Name: name, File: rng.Filename, Line: rng.Start.Line, decode: func(data map[string]any) (any, Diagnostics) {
		dst := make()
		ctx := d.context(kind, data)
		r := renderer{c: d.c, data: data, prepare: d.c}
		dec := r.decoder(false, ctx)
		pos, diags := dec.Body(dynblock.Expand(body, ctx), dst)
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
		return dst, d.h.files.convert(diags)
	}}
}

func (d *hclDecoder) provisioner(s *hclStep, kind string) (*Provisioner, hcl.Diagnostics) {
	typ := d.h.resolve(s.typ)
	make, ok := d.h.Components.Provisioners[typ]
	if !ok {
		return nil, hcl.Diagnostics{errorf(s.rng, fmt.Sprintf("Unknown %s type %q", kind, s.typ), "The provisioner %s is unknown by %s",
			s.typ, unknownHint(s.typ, slices.Collect(maps.Keys(d.h.Components.Provisioners))))}
	}
	var override func() (cty.Value, hcl.Range)
	if s.override != cty.NilVal {
		if v, ok := s.override.AsValueMap()[d.u.alias]; ok && !v.IsNull() {
			override = func() (cty.Value, hcl.Range) { return v, s.overrideAt }
		}
	}
	return &Provisioner{PauseBefore: s.pause, Timeout: s.timeout, MaxRetries: s.retries, ContinueOnError: s.goOn, NoCache: s.noCache,
		Component: d.component("provisioner", typ, s.name, s.body, s.rng, override, func() any { return make() })}, nil
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
		typ := d.h.resolve(s.typ)
		make, ok := d.h.Components.PostProcessors[typ]
		if !ok {
			diags = append(diags, errorf(s.rng, fmt.Sprintf("Unknown post-processor type %q", s.typ), "The post-processor %s is unknown by %s",
				s.typ, unknownHint(s.typ, slices.Collect(maps.Keys(d.h.Components.PostProcessors)))))
			continue
		}
		out = append(out, &PostProcessor{Keep: s.keep, Component: d.component("post-processor", typ, s.name, s.body, s.rng, nil, func() any { return make() })})
	}
	return out, diags
}
