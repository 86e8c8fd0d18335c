package template

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"kiln"
	"kiln/internal/template/interpolate"
)

// builds resolves the variables and makes the selected builds, in the order of
// their names: templates.md 2.11.
func (j *jsonTemplate) builds(context.Context) ([]*Build, Diagnostics) {
	diags := append(slices.Clone(j.late), j.required()...)
	if diags.HasErrors() {
		j.pretend()
	}
	if more := j.interpolateVars(); !diags.HasErrors() {
		diags = append(diags, more...)
	}
	for _, name := range j.sensitive {
		j.Hide(j.values[name])
	}
	for _, b := range j.builders {
		name, err := interpolate.RenderStable(b.raw, j.context("", ""))
		if err != nil {
			diags = append(diags, errorf(b.rng, "", "name of builder %q: %v", b.raw, err))
			continue
		}
		b.name = name
	}
	chosen := slices.Clone(j.builders)
	sort.SliceStable(chosen, func(a, b int) bool { return chosen[a].name < chosen[b].name })
	var out []*Build
	var all Diagnostics
	for _, b := range chosen {
		if len(j.Only) > 0 && !slices.Contains(j.Only, b.name) || slices.Contains(j.Except, b.name) {
			continue
		}
		build, more := j.build(b)
		all = append(all, more...)
		if build != nil {
			out = append(out, build)
		}
	}
	all = append(j.files.convert(diags), all...)
	if diags.HasErrors() {
		// Nothing can be built. What is wrong with components is told with the rest.
		for _, b := range out {
			all = append(all, b.Check()...)
		}
		out = nil
	}
	return out, all.tidy()
}

// pretend gives variables without a value the text that stands for what is not
// known, so that the rest can be checked.
func (j *jsonTemplate) pretend() {
	for _, v := range j.variables {
		if _, ok := j.supplied[v.name]; v.required && !ok {
			j.values[v.name] = "<unknown>"
		}
	}
}

// build makes one build with the steps that are for it.
func (j *jsonTemplate) build(b *jsonBuilder) (*Build, Diagnostics) {
	full := b.name
	if b.name != b.typ {
		full = b.typ + "." + b.name
	}
	c := j.context(b.name, b.typ)
	out := &Build{Name: full, Source: b.name, Alias: b.name, Render: func(text string, vars map[string]any) (string, error) {
		run := *c
		run.Data = vars
		run.Build = func(key string) (string, error) { return dataText(vars, key), nil }
		return interpolate.RenderStable(text, &run)
	}}
	var diags hcl.Diagnostics
	_, ok := j.Components.Builders[b.typ]
	if !ok {
		diags = append(diags, j.unknown(start(b.node), "builder", b.typ, slices.Collect(maps.Keys(j.Components.Builders))))
	}
	var generated []string
	if ok {
		generated = kiln.TraitsOf(j.Components.NewBuilder(b.typ)).Generates
	}
	d := jsonDecoder{j: j, c: c, keys: append(slices.Clone(commonData), generated...)}
	if ok {
		out.Builder = d.component("builder", b.typ, b.raw, b.node, nil, []string{"type", "name"},
			func() any { return j.Components.NewBuilder(b.typ) })
	}
	for _, s := range j.steps {
		if s.runsFor(b.raw) {
			p, more := d.provisioner(s, b.raw)
			diags = append(diags, more...)
			if p != nil {
				out.Provisioners = append(out.Provisioners, p)
			}
		}
	}
	if j.cleanup != nil {
		var more hcl.Diagnostics
		out.Cleanup, more = d.provisioner(j.cleanup, b.raw)
		diags = append(diags, more...)
	}
	for _, chain := range j.chains {
		var steps []*PostProcessor
		for _, s := range chain {
			if slices.Contains(j.Except, s.name) {
				break
			}
			if !s.runsFor(b.raw) {
				continue
			}
			p, more := d.postProcessor(s)
			diags = append(diags, more...)
			if p != nil {
				steps = append(steps, p)
			}
		}
		if len(steps) > 0 {
			out.Chains = append(out.Chains, steps)
		}
	}
	if diags.HasErrors() {
		return nil, j.files.convert(diags)
	}
	return out, j.files.convert(diags)
}

// dataText is a value of a build's data as text.
func dataText(data map[string]any, key string) string {
	v, ok := data[key]
	if !ok {
		return "<no value>"
	}
	return fmt.Sprint(v)
}

func (j *jsonTemplate) unknown(rng hcl.Range, kind, typ string, known []string) *hcl.Diagnostic {
	return errorAt(rng, "", fmt.Sprintf("The %s %s is unknown by %s", kind, typ, unknownHint(typ, known)))
}

// jsonDecoder makes the components of one build.
type jsonDecoder struct {
	j    *jsonTemplate
	c    *interpolate.Context
	keys []string // that {{ build `KEY` }} may ask for
}

func (d *jsonDecoder) component(kind, typ, name string, n, override *node, keys []string, make func() any) *Component {
	return &Component{Kind: kind, Type: typ, Name: name, File: n.rng.Filename, Line: n.rng.Start.Line, decode: func(data map[string]any) (any, []Unknown, Diagnostics) {
		dst := make()
		later := map[string][]string{}
		r := renderer{c: d.c, data: data, prepare: d.prepareContext(kind), later: func(option, key string) {
			if !slices.Contains(later[option], key) {
				later[option] = append(later[option], key)
			}
		}}
		dec := r.decoder(true, nil)
		dec.Skip = skips(keys)
		pos, diags := dec.Body(jsonBody{n}, dst)
		if override != nil {
			diags = append(diags, dec.Value(override.cty(), override.rng, dst)...)
		}
		diags = append(diags, validate(dst, pos, n.rng, diags)...)
		for _, diag := range diags {
			if diag.Severity != hcl.DiagError {
				continue
			}
			if diag.Detail == "" {
				diag.Detail, diag.Summary = diag.Summary, ""
			} else if diag.Summary != "" {
				diag.Detail = diag.Summary + ". " + diag.Detail
				diag.Summary = ""
			}
			diag.Summary = fmt.Sprintf("Failed to prepare build: %q", d.c.BuildName)
			diag.Detail = where(kind, typ) + diag.Detail
		}
		hide(dst, d.j.Hide)
		var unknown []Unknown
		for _, option := range slices.Sorted(maps.Keys(later)) {
			at := n.rng
			if set, ok := pos[option]; ok {
				at = set
			}
			unknown = append(unknown, Unknown{option, later[option], at.Filename, at.Start.Line})
		}
		return dst, unknown, d.j.files.convert(diags)
	}}
}

func where(kind, typ string) string {
	return kind + " " + typ + ": "
}

// prepareContext is the context of the first rendering, in which values that the
// build generates stay as text for the second.
func (d *jsonDecoder) prepareContext(kind string) *interpolate.Context {
	c := *d.c
	c.Missing = func(key string) string {
		if key == "WinRMPassword" {
			return "{{.WinRMPassword}}"
		}
		return "Build_" + key + ". To set this dynamically in the Packer template, you must use the `build` function"
	}
	c.Build = func(key string) (string, error) {
		if kind == "builder" {
			return "", fmt.Errorf("the given variable %s will not be passed into your plugin", key)
		}
		if !slices.Contains(d.keys, key) {
			return "", fmt.Errorf("loaded data, but couldnt find %s in it. The keys are: %s", key, strings.Join(d.keys, ", "))
		}
		return "{{." + key + "}}", nil
	}
	return &c
}

func (d *jsonDecoder) provisioner(s *jsonStep, raw string) (*Provisioner, hcl.Diagnostics) {
	make, ok := d.j.Components.Provisioners[s.typ]
	if !ok {
		return nil, hcl.Diagnostics{d.j.unknown(start(s.node), "provisioner", s.typ, slices.Collect(maps.Keys(d.j.Components.Provisioners)))}
	}
	var override *node
	if s.override != nil {
		override = s.override.exact(raw)
	}
	p := &Provisioner{PauseBefore: s.pause, Timeout: s.timeout, NoCache: s.noCache,
		Component: d.component("provisioner", s.typ, "", s.node, override, provisionerKeys, func() any { return make() })}
	if s.retries != nil {
		text, err := interpolate.RenderStable(s.retries.text, d.c)
		if err == nil && text != "" {
			p.MaxRetries, err = strconv.Atoi(text)
		}
		if err != nil {
			return nil, hcl.Diagnostics{errorf(s.retries.rng, "", "%s: max_retries: %v", s.where, err)}
		}
	}
	return p, nil
}

func (d *jsonDecoder) postProcessor(s *jsonStep) (*PostProcessor, hcl.Diagnostics) {
	make, ok := d.j.Components.PostProcessors[s.typ]
	if !ok {
		return nil, hcl.Diagnostics{d.j.unknown(start(s.node), "post-processor", s.typ, slices.Collect(maps.Keys(d.j.Components.PostProcessors)))}
	}
	return &PostProcessor{Keep: s.keep,
		Component: d.component("post-processor", s.typ, s.name, s.node, nil, postProcessorKeys, func() any { return make() })}, nil
}
