package template

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
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
	spec     *BuildSpec
	weak     bool
	override *Override // nil: none
	keys     []string
	make     func() any
	texts    *Texts
	hide     func(string)
}

// decode makes a new value.
func (d *decoding) decode(data map[string]any) (any, []Unknown, Diagnostics) {
	scope := d.spec.Scope
	dst := d.make()
	later := map[string][]string{}
	r := renderer{data: data, later: func(option, key string) {
		if !slices.Contains(later[option], key) {
			later[option] = append(later[option], key)
		}
	}}
	r.prepare, r.c = scope.Text(d.Step, d.keys)
	body, eval := scope.Open(d.Step, d.keys, data)
	dec := r.decoder(d.weak, eval)
	dec.Skip = d.Skip
	var unknown []Unknown
	dec.Unknown = func(option string, attr *hcl.Attribute) {
		unknown = append(unknown, Unknown{option, unknownRefs(attr.Expr, eval), attr.Range.Filename, attr.Range.Start.Line})
	}
	pos, diags := dec.Body(body, dst)
	if d.override != nil {
		diags = append(diags, dec.Value(d.override.Value, d.override.Range, dst)...)
	}
	diags = append(diags, validate(dst, pos, d.Range, diags)...)
	diags = scope.Explain(d.Step, diags)
	hide(dst, d.hide)
	for _, option := range slices.Sorted(maps.Keys(later)) {
		at := d.Range
		if set, ok := pos[option]; ok {
			at = set
		}
		unknown = append(unknown, Unknown{option, later[option], at.Filename, at.Start.Line})
	}
	return dst, unknown, d.texts.Convert(diags)
}

// DecodeData decodes the body of a data source.
func DecodeData(body hcl.Body, rng hcl.Range, eval *hcl.EvalContext, text *interpolate.Context, dst any) hcl.Diagnostics {
	dec := renderer{c: text, prepare: text}.decoder(false, eval)
	pos, diags := dec.Body(body, dst)
	return append(diags, validate(dst, pos, rng, diags)...)
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
			text += "[" + ShowText(s.Key, false) + "]"
		}
	}
	return text
}

// renderer renders the {{ }} text of one component's fields, each in the phases
// that its mode says.
type renderer struct {
	c       *interpolate.Context     // of the second rendering, without data
	prepare *interpolate.Context     // of the first
	data    map[string]any           // nil: nothing is known yet
	later   func(option, key string) // is told what is known only later; nil: nobody
}

func (r renderer) decoder(weak bool, eval *hcl.EvalContext) *schema.Decoder {
	return &schema.Decoder{Weak: weak, Eval: eval, Render: r.render}
}

func (r renderer) render(f *schema.Field, text string) (string, error) {
	c := *r.prepare
	if build := c.Build; r.later != nil && build != nil && r.data == nil {
		c.Build = func(key string) (string, error) {
			text, err := build(key)
			if err == nil {
				r.later(f.Name, "build."+key)
			}
			return text, err
		}
	}
	switch f.Render {
	case schema.RenderRun:
		return text, r.wrap(f, interpolate.Check(text, &c))
	case schema.RenderBoth:
		// What the build will know stays as it is for the second rendering.
		c.Missing = func(key string) string { return "{{." + key + "}}" }
		out, err := interpolate.Render(text, &c)
		if err != nil || r.data == nil {
			return out, r.wrap(f, err)
		}
		second := *r.c
		second.Data = r.data
		out, err = interpolate.RenderStable(out, &second)
		return out, r.wrap(f, err)
	}
	out, err := interpolate.Render(text, &c)
	return out, r.wrap(f, err)
}

func (r renderer) wrap(f *schema.Field, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("render '%s': %w", f.Name, err)
}

// validate asks a component what is wrong with it, and says where. A component
// that could not be decoded is not asked: its answers would only be echoes.
func validate(component any, pos schema.Positions, body hcl.Range, before hcl.Diagnostics) (diags hcl.Diagnostics) {
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
	v := reflect.ValueOf(component).Elem()
	for _, f := range schema.Of(component).Fields {
		if !f.Sensitive {
			continue
		}
		fv := v.FieldByIndex(f.Index)
		switch {
		case fv.Kind() == reflect.String && fv.String() != "" && fv.String() != "<unknown>":
			hide(fv.String())
		case fv.Kind() == reflect.Slice && fv.Type().Elem().Kind() == reflect.String:
			for i := range fv.Len() {
				hide(fv.Index(i).String())
			}
		}
	}
}

// plugins are the prefixes of components that Packer has in plugins.
var plugins = []string{"amazon", "ansible", "azure", "chef", "cloudstack", "digitalocean", "googlecompute", "hcloud", "hyperv", "inspec", "linode", "lxc",
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
