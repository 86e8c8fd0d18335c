package template

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"kiln"
	"kiln/internal/redact"
	"kiln/internal/template/interpolate"
	"kiln/schema"
)

// decoding decodes the component of a step for one build.
type decoding struct {
	*Step
	*maker
	override *Override // nil: none
	make     func() any
	number   int // of the component in its build
}

// decoded is a component value with what is not known of it.
type decoded struct {
	value   any
	unknown []Unknown
	secret  map[string]bool // places of what is a secret, or made of one: see schema.Settings
	diags   Diagnostics

	// For decoding again, where there is something unknown.
	base    any // the value before Validate, which may fill in what is derived
	pos     schema.Positions
	learned int // see Scope.Learned
}

// options are the names, on the top level, of what is not known.
func (d *decoded) options() map[string]bool {
	all := map[string]bool{}
	for _, u := range d.unknown {
		name, _, _ := strings.Cut(u.Option, ".")
		all[name] = true
	}
	return all
}

// first decodes a new value, with nothing known of the build.
func (d *decoding) first() *decoded {
	var out *decoded
	d.options.World.In(fmt.Sprintf("%s %d", d.maker.spec.key, d.number), func() {
		dst := d.make()
		c := d.reader(nil)
		pos, diags := c.Body(c.body, dst)
		out = d.finish(c, dst, pos, diags, nil)
	})
	return out
}

// again decodes what was not known, with what the build generated so far, over a
// copy.
func (d *decoding) again(old *decoded, data map[string]any) *decoded {
	c := d.reader(data)
	c.Only = old.options()
	dst := schema.Clone(old.base)
	schema.CopyOptions(dst, d.make(), c.Only)
	more, diags := c.Body(c.body, dst)
	pos := maps.Clone(old.pos)
	maps.Copy(pos, more)
	return d.finish(c, dst, pos, diags, old.secret)
}

// finish lays the override over a value and validates it. Secret are the places of
// secrets that were decoded before.
func (d *decoding) finish(c *reader, dst any, pos schema.Positions, diags hcl.Diagnostics,
	secret map[string]bool) *decoded {
	if d.override != nil {
		diags = append(diags, c.Value(d.override.Value, d.override.Range, dst)...)
	}
	out := &decoded{value: dst, unknown: c.unknown(pos, d.Range), learned: c.learned}
	if len(out.unknown) > 0 {
		out.base, out.pos = schema.Clone(dst), pos
	}
	out.secret = c.secret
	if len(secret) > 0 {
		out.secret = maps.Clone(secret)
		maps.Copy(out.secret, c.secret)
	}
	diags = append(diags, validate(dst, pos, d.Range, diags, c.unsure)...)
	diags = append(diags, d.hide(dst)...)
	for _, problem := range diags {
		if problem.Severity == hcl.DiagWarning && problem.Summary == "" {
			problem.Summary = fmt.Sprintf("Warning when preparing build: %q", d.maker.spec.Name)
		}
	}
	out.diags = d.texts.Convert(d.maker.spec.Scope.Explain(d.Step, diags))
	return out
}

// reader decodes a body once and notes what is not known of it.
type reader struct {
	*schema.Decoder
	body    hcl.Body
	found   []Unknown
	later   map[string][]string // options with text that needs the build's data, and which
	unsure  map[string]bool     // options that hold a placeholder
	secret  map[string]bool     // places of secrets; nil: none
	learned int
}

func (d *decoding) reader(data map[string]any) *reader {
	c := &reader{later: map[string][]string{}, unsure: map[string]bool{},
		learned: d.maker.spec.Scope.Learned(d.Step)}
	var option string
	r := renderer{data: data, exact: !d.assembler.spec.Weak}
	r.unsure = func() { c.unsure[option] = true }
	r.later = func(key string) {
		c.unsure[option] = true
		if !slices.Contains(c.later[option], key) {
			c.later[option] = append(c.later[option], key)
		}
	}
	if data != nil {
		r.data = d.complete(data)
	}
	r.prepare, r.c = d.maker.spec.Scope.Text(d.Step, d.keys)
	body, eval := d.maker.spec.Scope.Open(d.Step, d.keys, data)
	format := HCL2
	if d.assembler.spec.Weak {
		format = JSON
	}
	c.body, c.Decoder = body, &schema.Decoder{Weak: format == JSON, Eval: eval, Render: r.render,
		Skip: d.Skip, Around: func() []string { return d.near(format) }}
	c.Option = func(name string) { option = name }
	c.Unknown = func(name string, expr hcl.Expression, rng hcl.Range) {
		c.unsure[option] = true
		at := rng
		if expr != nil {
			at = expr.Range()
		}
		c.found = append(c.found,
			Unknown{name, unknownRefs(expr, eval), rng.Filename, rng.Start.Line, d.texts.Slice(at),
				givenRefs(expr, eval)})
	}
	c.Secret = func(at, text string) {
		if c.secret == nil {
			c.secret = map[string]bool{}
		}
		c.secret[at] = true
		d.options.HideMade(text)
	}
	return c
}

// unknown lists the options that are not known, each with its place.
func (c *reader) unknown(pos schema.Positions, body hcl.Range) []Unknown {
	all := c.found
	for _, option := range slices.Sorted(maps.Keys(c.later)) {
		at := body
		if set, ok := pos[option]; ok {
			at = set
		}
		all = append(all, Unknown{Option: option, From: c.later[option], File: at.Filename, Line: at.Start.Line})
	}
	return all
}

// DecodeData decodes the body of a data source.
func DecodeData(body hcl.Body, rng hcl.Range, eval *hcl.EvalContext, text *interpolate.Context,
	dst any) hcl.Diagnostics {
	unsure := map[string]bool{}
	var option string
	r := renderer{c: text, prepare: text, unsure: func() { unsure[option] = true },
		later: func(string) { unsure[option] = true }}
	dec := &schema.Decoder{Eval: eval, Render: r.render, Option: func(name string) { option = name }}
	dec.Unknown = func(string, hcl.Expression, hcl.Range) { unsure[option] = true }
	pos, diags := dec.Body(body, dst)
	return append(diags, validate(dst, pos, rng, diags, unsure)...)
}

// unknownRefs lists the references of an expression that have no value yet.
func unknownRefs(expr hcl.Expression, ctx *hcl.EvalContext) (refs []string) {
	if expr == nil {
		return nil
	}
	for _, t := range expr.Variables() {
		v, diags := t.TraverseAbs(ctx)
		text := traversalText(t)
		if !diags.HasErrors() && !v.IsWhollyKnown() && !slices.Contains(refs, text) {
			refs = append(refs, text)
		}
	}
	return refs
}

// givenRefs are the values, each with its name, that an expression refers to and that are
// known: it is another one where they are.
func givenRefs(expr hcl.Expression, ctx *hcl.EvalContext) string {
	if expr == nil {
		return ""
	}
	var b strings.Builder
	for _, t := range expr.Variables() {
		if v, diags := t.TraverseAbs(ctx); !diags.HasErrors() && v.IsWhollyKnown() {
			schema.Leaves(v, traversalText(t), func(at, text string, _ bool) { fmt.Fprintf(&b, "%s=%q\n", at, text) })
		}
	}
	return b.String()
}

func traversalText(t hcl.Traversal) string {
	text := t.RootName()
	for i := 1; i < len(t); i++ {
		switch s := t[i].(type) {
		case hcl.TraverseAttr:
			text += "." + s.Name
		case hcl.TraverseIndex:
			text += "[" + ShowText(s.Key, false) + "]"
		}
	}
	return text
}

// renderer renders the {{ }} text of one component's fields, each in the phases
// that its mode says.
type renderer struct {
	c       *interpolate.Context // of the second rendering, without data
	prepare *interpolate.Context // of the first
	data    map[string]any       // nil: nothing is known yet
	exact   bool                 // text that is rendered only once must not ask for data
	later   func(key string)     // is called for text that needs the build's data
	unsure  func()               // is called for text with a placeholder in it
}

func (r renderer) render(f *schema.Field, text string) (out string, secret bool, err error) {
	out, err = r.phases(f, text, func() { secret = true })
	if strings.Contains(out, schema.Placeholder) {
		r.unsure()
	}
	return out, secret, r.wrap(f, err)
}

func (r renderer) phases(f *schema.Field, text string, touched func()) (string, error) {
	c := *r.prepare
	c.Touched = touched
	if build := c.Build; build != nil {
		c.Build = func(key string) (string, error) {
			text, err := build(key)
			if err == nil && r.data == nil {
				r.later("build." + key)
			}
			return text, err
		}
	}
	switch f.Render {
	case schema.RenderRun:
		return text, interpolate.Check(text, &c)
	case schema.RenderBoth:
		// What the build will know stays as it is for the second rendering.
		c.Missing = func(key string) string {
			if r.data == nil {
				r.later("build." + key)
			}
			return "{{." + key + "}}"
		}
		out, err := interpolate.Render(text, &c)
		if err != nil || r.data == nil {
			return out, err
		}
		second := *r.c
		second.Data, second.Touched = r.data, touched
		return interpolate.RenderStable(out, &second)
	}
	if build := c.Build; build != nil && r.exact {
		c.Build = func(key string) (string, error) {
			if _, err := build(key); err != nil {
				return "", err
			}
			return "", fmt.Errorf("this option is rendered before the build runs: write ${build.%s}", key)
		}
	}
	return interpolate.Render(text, &c)
}

func (r renderer) wrap(f *schema.Field, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("render '%s': %w", f.Name, err)
}

// validate asks a component what is wrong with it, and says where. A component
// that could not be decoded is not asked: its answers would only be echoes. What it
// says of an option whose value is a placeholder is not said on.
func validate(component any, pos schema.Positions, body hcl.Range, before hcl.Diagnostics,
	unsure map[string]bool) (diags hcl.Diagnostics) {
	v, ok := component.(kiln.Validator)
	if !ok || before.HasErrors() {
		return nil
	}
	body.End = body.Start
	body.End.Column++
	for _, err := range kiln.Errors(v.Validate()) {
		rng := body
		var fe *kiln.FieldError
		if errors.As(err, &fe) {
			if option, _, _ := strings.Cut(fe.Field, "."); unsure[option] {
				continue
			}
			if at, ok := pos[fe.Field]; ok {
				rng = at
			}
		}
		problem := ErrorAt(rng, "", err.Error())
		if fe != nil && fe.Caution {
			problem.Severity = hcl.DiagWarning
		}
		diags = append(diags, problem)
	}
	return diags
}

// hide makes the values of sensitive options unreadable.
func (d *decoding) hide(component any) (diags hcl.Diagnostics) {
	for _, secret := range schema.Secrets(component) {
		if redact.Given(secret, d.options.Hide) {
			diags = append(diags, ShortSecret(d.Range, "A secret of "+d.Kind+" "+d.Written))
		}
	}
	return diags
}
