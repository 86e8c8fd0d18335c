package hcl2

import (
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"kiln/internal/template"
	"kiln/schema"
)

// stepAttributes and stepSchemas are what provisioners and post-processors have
// around their own options.
var (
	stepAttributes = map[template.On][]template.Attribute{
		template.OnProvisioner:   template.AttributesOf(template.HCL2, template.OnProvisioner),
		template.OnPostProcessor: template.AttributesOf(template.HCL2, template.OnPostProcessor),
	}
	stepSchemas = map[template.On]*hcl.BodySchema{
		template.OnProvisioner:   schemaOf(stepAttributes[template.OnProvisioner]),
		template.OnPostProcessor: schemaOf(stepAttributes[template.OnPostProcessor]),
	}
)

func schemaOf(all []template.Attribute) *hcl.BodySchema {
	s := &hcl.BodySchema{}
	for _, a := range all {
		s.Attributes = append(s.Attributes, hcl.AttributeSchema{Name: a.Name})
	}
	return s
}

// readStep reads what the template says around a provisioner or post-processor.
func (sc *scope) readStep(blk *hcl.Block, ctx *hcl.EvalContext, on template.On) (*template.Step,
	hcl.Diagnostics) {
	content, rest, diags := around(blk.Body, on)
	s := &template.Step{Kind: template.KindProvisioner, Block: blk.Type, Type: sc.resolve(blk.Labels[0]),
		Written:   blk.Labels[0],
		TypeRange: blk.DefRange, Body: rest, Range: blk.DefRange, Of: newOrigin(sc, rest)}
	if on == template.OnPostProcessor {
		s.Kind = template.KindPostProcessor
	}
	m := meta{content.Attributes, ctx, &diags}
	for _, a := range stepAttributes[on] {
		m.attribute(a, s)
	}
	if len(s.Only) > 0 && len(s.Except) > 0 {
		diags = append(diags, template.ErrorAt(content.Attributes["only"].Range,
			"only one of 'only' or 'except' may be specified", ""))
	}
	return s, diags
}

// around is what stands around the component's own options, and the body with these.
func around(body hcl.Body, on template.On) (*hcl.BodyContent, hcl.Body, hcl.Diagnostics) {
	b, ok := body.(*hclsyntax.Body)
	if !ok || slices.ContainsFunc(stepAttributes[on],
		func(a template.Attribute) bool { return b.Attributes[a.Name] != nil }) {
		return body.PartialContent(stepSchemas[on])
	}
	return &hcl.BodyContent{}, body, nil // as most steps: there is nothing to be taken out
}

// meta reads meta-arguments of a block.
type meta struct {
	attrs hcl.Attributes
	ctx   *hcl.EvalContext
	diags *hcl.Diagnostics
}

// attribute reads an attribute of a step, as its type asks for.
func (m meta) attribute(a template.Attribute, s *template.Step) {
	attr := m.attrs[a.Name]
	if attr == nil {
		return
	}
	switch to := a.Field(s).(type) {
	case *string:
		m.into(a.Name, cty.String, func(v cty.Value) error { *to = v.AsString(); return nil })
	case *template.Names:
		m.into(a.Name, cty.List(cty.String), func(v cty.Value) error {
			*to = template.Names{}
			for _, item := range v.AsValueSlice() {
				(*to)[stringOf(item)] = attr.Expr.Range()
			}
			return nil
		})
	case *time.Duration:
		m.duration(a, to)
	case *template.Count:
		m.into(a.Name, cty.Number, func(v cty.Value) error {
			n, acc := v.AsBigFloat().Int64()
			if acc != 0 || n < 0 {
				return fmt.Errorf("a whole number that is not negative is required")
			}
			to.N = int(n)
			return nil
		})
	case **bool:
		m.into(a.Name, cty.Bool, func(v cty.Value) error { is := v.True(); *to = &is; return nil })
	case *template.Overrides:
		m.override(attr, to)
	}
}

// into reads an attribute of a type.
func (m meta) into(name string, ty cty.Type, set func(cty.Value) error) {
	attr := m.attrs[name]
	if attr == nil {
		return
	}
	v, ok := m.value(attr)
	if !ok {
		return
	}
	c, err := convert.Convert(v, ty)
	if err == nil {
		err = set(c)
	}
	if err != nil {
		*m.diags = append(*m.diags, unsuitable(attr, err))
	}
}

// value is an attribute's value, where it has one that is known.
func (m meta) value(attr *hcl.Attribute) (cty.Value, bool) {
	v, diags := attr.Expr.Value(m.ctx)
	*m.diags = append(*m.diags, diags...)
	return schema.Bare(v), !diags.HasErrors() && !v.IsNull() && v.IsWhollyKnown()
}

func unsuitable(attr *hcl.Attribute, err error) *hcl.Diagnostic {
	return template.ErrorfAt(attr.Expr.Range(), "Unsuitable value type", "Unsuitable value for %s: %v.",
		attr.Name, err)
}

// duration reads a text such as "30s".
func (m meta) duration(a template.Attribute, to *time.Duration) {
	attr := m.attrs[a.Name]
	v, ok := m.value(attr)
	if !ok {
		return
	}
	bad := func(detail string) {
		*m.diags = append(*m.diags, template.ErrorAt(attr.Expr.Range(), "Failed to parse "+a.Name+" duration",
			detail))
	}
	if v.Type() == cty.Number {
		bad(`A number needs a unit: write "30s" or "5m".`)
		return
	}
	c, err := convert.Convert(v, cty.String)
	if err != nil {
		*m.diags = append(*m.diags, unsuitable(attr, err))
		return
	}
	if c.AsString() == "" {
		return
	}
	if *to, err = time.ParseDuration(c.AsString()); err != nil {
		bad(fmt.Sprintf(`%v. Write a number with a unit, such as "30s" or "5m".`, err))
	} else if err := a.Check(*to); err != nil {
		bad(err.Error())
	}
}

// override reads an object that has an object of options for each source.
func (m meta) override(attr *hcl.Attribute, to *template.Overrides) {
	v, diags := attr.Expr.Value(m.ctx)
	*m.diags = append(*m.diags, diags...)
	at := attr.Expr.Range()
	if v.IsNull() || !v.IsKnown() {
		return
	}
	if !v.Type().IsObjectType() && !v.Type().IsMapType() {
		*m.diags = append(*m.diags, template.ErrorAt(at, "provisioner's override block must be an HCL object",
			"It has a key for each source name, with an object of options."))
		return
	}
	*to = template.Overrides{}
	v, marks := v.Unmark()
	for name, o := range v.AsValueMap() {
		if o.IsNull() {
			continue
		}
		if !o.Type().IsObjectType() && !o.Type().IsMapType() {
			*m.diags = append(*m.diags, template.ErrorfAt(at,
				fmt.Sprintf("provisioner's override.'%s' block must be an HCL object", name), ""))
		}
		(*to)[name] = template.Override{Value: o.WithMarks(marks), Range: at, Key: at}
	}
}
