package template

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"kiln"
	"kiln/internal/template/interpolate"
	"kiln/schema"
)

// commonData are the keys that every build may generate: docs/compat/templates.md 2.8.
var commonData = []string{"ID", "Host", "Port", "User", "Password", "ConnType", "PackerRunUUID", "PackerHTTPAddr", "PackerHTTPIP",
	"PackerHTTPPort", "SSHPublicKey", "SSHPrivateKey", "WinRMPassword"}

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
		diags = append(diags, errorAt(rng, "", err.Error()))
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

// unknownType ends the sentence "The builder x is unknown by ..." of an HCL2
// template, which says where its components come from.
func (h *hclTemplate) unknownType(typ string, known []string) string {
	for _, p := range h.t.Plugins {
		if typ == p.Accessor || strings.HasPrefix(typ, p.Accessor+"-") {
			return fmt.Sprintf("Kiln. It belongs to the plugin %s, which is required here; this version of Kiln cannot run plugins.", p.Source)
		}
	}
	return unknownHint(typ, known)
}

// unknownHint ends the sentence "The builder x is unknown by ...".
func unknownHint(typ string, known []string) string {
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
