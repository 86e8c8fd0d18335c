package template

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"kiln"
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
	d.options.World.In(fmt.Sprintf("%s %d", d.maker.spec.Name, d.number), func() {
		dst := d.make()
		c := d.reader(nil)
		pos, diags := c.Body(c.body, dst)
		out = d.finish(c, dst, pos, diags)
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
	return d.finish(c, dst, pos, diags)
}

// finish lays the override over a value and validates it.
func (d *decoding) finish(c *reader, dst any, pos schema.Positions, diags hcl.Diagnostics) *decoded {
	if d.override != nil {
		diags = append(diags, c.Value(d.override.Value, d.override.Range, dst)...)
	}
	out := &decoded{value: dst, unknown: c.unknown(pos, d.Range), learned: c.learned}
	if len(out.unknown) > 0 {
		out.base, out.pos = schema.Clone(dst), pos
	}
	diags = append(diags, validate(dst, pos, d.Range, diags, c.unsure)...)
	hide(dst, d.options.Hide)
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
	learned int
}

func (d *decoding) reader(data map[string]any) *reader {
	c := &reader{later: map[string][]string{}, unsure: map[string]bool{},
		learned: d.maker.spec.Scope.Learned(d.Step)}
	var option string
	r := renderer{data: data, unsure: func() { c.unsure[option] = true }, later: func(key string) {
		c.unsure[option] = true
		if !slices.Contains(c.later[option], key) {
			c.later[option] = append(c.later[option], key)
		}
	}}
	r.prepare, r.c = d.maker.spec.Scope.Text(d.Step, d.keys)
	body, eval := d.maker.spec.Scope.Open(d.Step, d.keys, data)
	format := HCL2
	if d.assembler.spec.Weak {
		format = JSON
	}
	c.body, c.Decoder = body, &schema.Decoder{Weak: format == JSON, Eval: eval, Render: r.render,
		Skip: d.Skip, Around: d.near(format)}
	c.Option = func(name string) { option = name }
	c.Unknown = func(name string, expr hcl.Expression, rng hcl.Range) {
		c.unsure[option] = true
		c.found = append(c.found, Unknown{name, unknownRefs(expr, eval), rng.Filename, rng.Start.Line})
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
		all = append(all, Unknown{option, c.later[option], at.Filename, at.Start.Line})
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
	later   func(key string)     // is called for text that needs the build's data
	unsure  func()               // is called for text with a placeholder in it
}

func (r renderer) render(f *schema.Field, text string) (string, error) {
	out, err := r.phases(f, text)
	if strings.Contains(out, schema.Placeholder) {
		r.unsure()
	}
	return out, r.wrap(f, err)
}

func (r renderer) phases(f *schema.Field, text string) (string, error) {
	c := *r.prepare
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
		second.Data = r.data
		return interpolate.RenderStable(out, &second)
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
		diags = append(diags, ErrorAt(rng, "", err.Error()))
	}
	return diags
}

// hide makes the values of sensitive fields unreadable.
func hide(component any, hide func(string)) {
	for _, secret := range schema.Secrets(component) {
		hide(secret)
	}
}

// plugins are the prefixes of components that Packer has in plugins.
var plugins = []string{"amazon", "ansible", "azure", "chef", "cloudstack", "digitalocean", "googlecompute",
	"hcloud", "hyperv", "inspec", "linode", "lxc",
	"lxd", "ncloud", "oneandone", "openstack", "oracle", "parallels", "powershell", "profitbricks", "proxmox", "puppet", "qemu", "salt", "scaleway", "tencentcloud",
	"triton", "ucloud", "vagrant", "virtualbox", "vmware", "vsphere", "windows", "yandex", "hcp", "provenance"}

// UnknownHint ends the sentence "The builder x is unknown by ...".
func UnknownHint(typ string, known []string) string {
	if near := schema.Suggest(typ, known); near != "" {
		return fmt.Sprintf("Kiln. Did you mean to use %q?", near)
	}
	for _, p := range plugins {
		if typ == p || strings.HasPrefix(typ, p+"-") {
			return "Packer, and is likely part of a plugin that is not installed. It is known, but not part of this version of Kiln."
		}
	}
	return "Packer, and is likely part of a plugin that is not installed. `kiln explain` lists the components that are built in."
}
