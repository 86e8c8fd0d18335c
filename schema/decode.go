package schema

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Decoder fills a component's struct from a template's body.
type Decoder struct {
	// Weak decodes as legacy JSON does: names in any letter case, "2048" for
	// 2048, one value for a list, comma lists. Blocks are then objects.
	Weak bool
	// Eval is what expressions may refer to. It is nil for legacy JSON, whose
	// strings are literal.
	Eval *hcl.EvalContext
	// Render renders the {{ }} text of a string. It is called for every string
	// value, whatever the field's mode, and says whether a secret went into it. Nil
	// leaves strings alone.
	Render func(f *Field, text string) (out string, secret bool, err error)
	// Skip tells names on the top level that are not the component's own.
	Skip func(name string) bool
	// Around are names on the top level that the caller reads: they too may have been meant
	// by one that is unknown.
	Around func() []string
	// Unknown, if set, is called for each option whose value is not wholly known yet.
	// Options of nested blocks are named block.option. Expr is nil for a plain value.
	Unknown func(option string, expr hcl.Expression, rng hcl.Range)
	// Option, if set, is called before each option of the top level is decoded.
	Option func(name string)
	// Secret, if set, is called for each text in an option that is a secret or made of
	// one, with its place, such as list[1] or block.option. The text is empty where only
	// that is known.
	Secret func(at, text string)
	// Only, if set, names the options of the top level that are decoded. The others
	// stay as they are, and nothing is said about names or about what is missing.
	Only map[string]bool

	overlay bool   // lists are laid over those that are there
	at      string // place of the block that is decoded, with a dot behind it
}

// Positions tells where each field was set, by its present name.
type Positions map[string]hcl.Range

// Body decodes an HCL body, native or JSON syntax, over dst, a pointer to a struct or
// a [*Record]. Fields that the body does not set get their default if they are zero.
func (d *Decoder) Body(body hcl.Body, dst any) (Positions, hcl.Diagnostics) {
	r, done := open(dst)
	defer done()
	pos := Positions{}
	r.defaults(d.Only)
	var diags hcl.Diagnostics
	if d.Weak {
		diags = d.weakBody(body, r, pos)
	} else {
		diags = d.strictBody(body, r, pos, true)
	}
	if d.Only != nil {
		return pos, diags
	}
	return pos, append(diags, missing(r.Block, pos, body.MissingItemRange())...)
}

// wants reports whether an option of the top level is to be decoded.
func (d *Decoder) wants(f *Field, top bool) bool {
	if !top {
		return true
	}
	if d.Only != nil && !d.Only[f.Name] {
		return false
	}
	if d.Option != nil {
		d.Option(f.Name)
	}
	return true
}

// suggest finds what was probably meant by an unknown name of a block.
func (d *Decoder) suggest(name string, b *Block, top bool) string {
	known := b.Names()
	if top && d.Around != nil {
		known = append(known, d.Around()...)
	}
	return Suggest(name, known)
}

// within is the decoder of the nth nested block of a field.
func (d *Decoder) within(block *Field, n int) *Decoder {
	sub := *d
	sub.at = d.at + block.Name + "."
	if block.Kind == Repeated {
		sub.at = fmt.Sprintf("%s%s[%d].", d.at, block.Name, n)
	}
	if d.Unknown == nil {
		return &sub
	}
	sub.Unknown = func(option string, expr hcl.Expression, rng hcl.Range) {
		d.Unknown(block.Name+"."+option, expr, rng)
	}
	return &sub
}

// Value decodes an object value over dst, as provisioner overrides do: scalars
// are replaced, maps merged by key, lists overlaid by index.
func (d *Decoder) Value(val cty.Value, rng hcl.Range, dst any) hcl.Diagnostics {
	r, done := open(dst)
	defer done()
	over := *d
	over.overlay, over.Around = true, nil
	return over.object(val, rng, r, nil, true)
}

// Defaults sets every zero field of dst that has a default.
func Defaults(dst any) {
	r, done := open(dst)
	r.defaults(nil)
	done()
}

func missing(b *Block, pos Positions, rng hcl.Range) (diags hcl.Diagnostics) {
	for _, f := range b.Fields {
		if f.Required && pos != nil {
			if _, ok := pos[f.Name]; !ok {
				diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Missing required argument",
					Detail: fmt.Sprintf(
						"The argument %q is required, but no definition was found.",
						f.Name,
					), Subject: &rng})
			}
		}
	}
	return diags
}

// strictBody decodes HCL2: exact names, blocks as blocks.
func (d *Decoder) strictBody(body hcl.Body, r *Record, pos Positions, top bool) hcl.Diagnostics {
	b := r.Block
	content, rest, diags := body.PartialContent(b.body)
	if d.Only == nil || !top {
		diags = append(diags, d.unknown(rest, b, top)...)
	}
	for _, attr := range sorted(content.Attributes) {
		f := b.names[attr.Name]
		if !d.wants(f, top) {
			continue
		}
		if f.Refused != "" {
			diags = append(diags, refused(attr.Name, f, attr.NameRange))
			continue
		}
		val, more := attr.Expr.Value(d.Eval)
		diags = append(diags, more...)
		if more.HasErrors() {
			// Known to be set: it must not be reported as missing too.
			pos[f.Name] = attr.Expr.Range()
			continue
		}
		if val.IsNull() {
			continue
		}
		pos[f.Name] = attr.Expr.Range()
		if d.Unknown != nil && !val.IsWhollyKnown() {
			d.Unknown(f.Name, attr.Expr, attr.Range)
		}
		diags = append(diags, d.attribute(f, r, val, attr.Expr.Range())...)
	}
	seen := map[string]bool{}
	for _, blk := range content.Blocks {
		f := b.names[blk.Type]
		if !d.wants(f, top) {
			continue
		}
		if f.Refused != "" {
			diags = append(diags, refused(blk.Type, f, blk.DefRange))
			continue
		}
		if f.Kind == Single && seen[f.Name] {
			diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError,
				Summary: fmt.Sprintf("Duplicate %s block", blk.Type),
				Detail:  fmt.Sprintf("Only one %s block is allowed.", blk.Type), Subject: &blk.DefRange})
			continue
		}
		seen[f.Name] = true
		pos[f.Name] = blk.DefRange
		inner := Positions{}
		target := r.nested(f, -1)
		target.defaults(nil)
		diags = append(diags, d.within(f, len(r.blocks[f.Name])-1).strictBody(blk.Body, target, inner, false)...)
		diags = append(diags, missing(f.Block, inner, blk.Body.MissingItemRange())...)
	}
	return diags
}

var nothing = &hcl.BodySchema{}

// unknown reports what the schema does not know, each with the name that was
// probably meant.
func (d *Decoder) unknown(rest hcl.Body, b *Block, top bool) (diags hcl.Diagnostics) {
	if top && d.Skip != nil {
		rest = skipBody(rest, d.Skip)
	}
	_, left := rest.Content(nothing)
	for _, diag := range left {
		if name := quoted(diag.Detail); name != "" {
			if s := d.suggest(name, b, top); s != "" {
				if f := b.names[s]; f != nil && f.Block != nil {
					diag.Detail += fmt.Sprintf(" Did you mean the block %q?", s)
				} else if !strings.Contains(diag.Detail, "Did you mean") {
					diag.Detail += fmt.Sprintf(" Did you mean %q?", s)
				}
			}
		}
		diags = append(diags, diag)
	}
	return diags
}

// weakBody decodes a legacy JSON object.
func (d *Decoder) weakBody(body hcl.Body, r *Record, pos Positions) hcl.Diagnostics {
	b := r.Block
	attrs, diags := body.JustAttributes()
	for _, attr := range sorted(attrs) {
		if d.Skip != nil && d.Skip(attr.Name) {
			continue
		}
		f := b.FieldFold(attr.Name)
		if f == nil {
			if d.Only == nil {
				diags = append(diags, unknownKey(attr.Name, d.suggest(attr.Name, b, true), attr.NameRange))
			}
			continue
		}
		if !d.wants(f, true) {
			continue
		}
		if f.Refused != "" {
			diags = append(diags, refused(attr.Name, f, attr.NameRange))
			continue
		}
		val, more := attr.Expr.Value(nil)
		diags = append(diags, more...)
		if more.HasErrors() || val.IsNull() {
			continue
		}
		pos[f.Name] = attr.Expr.Range()
		if d.Unknown != nil && !val.IsWhollyKnown() {
			d.Unknown(f.Name, attr.Expr, attr.Range)
		}
		diags = append(diags, d.attribute(f, r, val, attr.Expr.Range())...)
	}
	return diags
}

func unknownKey(name, near string, rng hcl.Range) *hcl.Diagnostic {
	diag := &hcl.Diagnostic{Severity: hcl.DiagError,
		Summary: fmt.Sprintf(`unknown configuration key: '"%s"'`, name), Subject: &rng}
	if near != "" {
		diag.Detail = fmt.Sprintf("Did you mean %q?", near)
	}
	return diag
}

func refused(name string, f *Field, rng hcl.Range) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Unsupported argument",
		Detail: fmt.Sprintf("%q cannot be used: %s.", name, strings.TrimSuffix(f.Refused, ".")), Subject: &rng}
}

// attribute sets one field from a value.
func (d *Decoder) attribute(f *Field, r *Record, val cty.Value, rng hcl.Range) hcl.Diagnostics {
	if f.Block != nil {
		return d.blocks(f, r, val, rng)
	}
	// The old name of a field may stand beside the new one: the later wins.
	val, err := d.render(f, known(val))
	if err == nil {
		val = d.unmark(f, val)
		old := cty.NilVal // a default goes as a whole
		if d.overlay {
			if have, ok := r.values[f.Name]; ok {
				old = have
			}
		}
		val, err = f.convert(val, old, d.Weak)
		r.put(f, val)
	}
	if err == nil && len(f.OneOf) > 0 {
		err = oneOf(f, r.values[f.Name])
	}
	if err == nil {
		return nil
	}
	return wrongType(
		rng,
		"Inappropriate value for attribute %q: %s.",
		f.Name,
		strings.TrimSuffix(err.Error(), "."),
	)
}

func wrongType(rng hcl.Range, format string, args ...any) hcl.Diagnostics {
	return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Incorrect attribute value type",
		Detail: fmt.Sprintf(format, args...), Subject: &rng}}
}

func oneOf(f *Field, val cty.Value) error {
	for _, s := range texts(val) {
		if s != "" && s != Placeholder && !slices.Contains(f.OneOf, s) {
			err := fmt.Errorf("%q is not one of %s", s, strings.Join(f.OneOf, ", "))
			if near := Suggest(s, f.OneOf); near != "" {
				err = fmt.Errorf("%w (did you mean %q?)", err, near)
			}
			return err
		}
	}
	return nil
}

// unmark tells which parts of an option are secrets, and takes the marks off.
func (d *Decoder) unmark(f *Field, val cty.Value) cty.Value {
	if !IsSensitive(val) {
		return Bare(val)
	}
	if d.Secret != nil {
		at := d.at + f.Name
		if f.Kind == Map && val.Type().IsTupleType() {
			// Objects that are merged: each name may be in any of them.
			at, val = d.at+f.Name, Sensitive(Bare(val))
			d.Secret(at, "")
		}
		Leaves(val, at, func(at, text string, secret bool) {
			if secret {
				d.Secret(at, text)
			}
		})
	}
	return Bare(val)
}

// blocks sets a nested block, or a list of them, from an object value or a list.
func (d *Decoder) blocks(f *Field, r *Record, val cty.Value, rng hcl.Range) (diags hcl.Diagnostics) {
	val, marks := known(val).Unmark()
	items := []cty.Value{val}
	if ty := val.Type(); ty.IsTupleType() || ty.IsListType() || ty.IsSetType() {
		items = val.AsValueSlice()
	}
	if f.Kind == Single && len(items) > 1 {
		return wrongType(rng, "Inappropriate value for %q: one object is required, not a list.", f.Name)
	}
	for i, item := range items {
		target := r.nested(f, i)
		target.defaults(nil)
		inner := Positions{}
		more := d.within(f, i).object(item.WithMarks(marks), rng, target, inner, false)
		if !more.HasErrors() {
			more = append(more, missing(f.Block, inner, rng)...)
		}
		diags = append(diags, more...)
	}
	return diags
}

// object sets the fields of a struct from an object value.
func (d *Decoder) object(
	val cty.Value, rng hcl.Range, r *Record, pos Positions, top bool,
) (diags hcl.Diagnostics) {
	b := r.Block
	val, marks := val.Unmark()
	if !val.Type().IsObjectType() && !val.Type().IsMapType() {
		return wrongType(rng, "An object is required.")
	}
	if val.IsNull() {
		return nil
	}
	for it := val.ElementIterator(); it.Next(); {
		k, item := it.Element()
		name := k.AsString()
		if top && d.Skip != nil && d.Skip(name) {
			continue
		}
		f := b.names[name]
		if d.Weak {
			f = b.FieldFold(name)
		}
		switch {
		case top && f == nil && d.Only != nil || f != nil && !d.wants(f, top):
		case f == nil && d.Weak:
			diags = append(diags, unknownKey(name, d.suggest(name, b, top), rng))
		case f == nil:
			detail := fmt.Sprintf("An argument named %q is not expected here.", name)
			if s := d.suggest(name, b, top); s != "" {
				detail += fmt.Sprintf(" Did you mean %q?", s)
			}
			diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError,
				Summary: "Unsupported argument", Detail: detail, Subject: &rng})
		case f.Refused != "":
			diags = append(diags, refused(name, f, rng))
		case !item.IsNull():
			if pos != nil {
				pos[f.Name] = rng
			}
			if top && d.Unknown != nil && !item.IsWhollyKnown() {
				d.Unknown(f.Name, nil, rng)
			}
			diags = append(diags, d.attribute(f, r, item.WithMarks(marks), rng)...)
		}
	}
	return diags
}

func sorted(attrs hcl.Attributes) []*hcl.Attribute {
	var all []*hcl.Attribute
	for _, a := range attrs {
		all = append(all, a)
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i].NameRange, all[j].NameRange
		if a.Filename != b.Filename {
			return a.Filename < b.Filename
		}
		return a.Start.Byte < b.Start.Byte
	})
	return all
}

func quoted(s string) string {
	_, rest, ok := strings.Cut(s, `"`)
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

// skipBody hides attributes and blocks that are not the component's own.
type skippedBody struct {
	hcl.Body
	skip func(string) bool
}

func skipBody(b hcl.Body, skip func(string) bool) hcl.Body { return skippedBody{b, skip} }

// Content leaves out the diagnostics about names that are skipped.
func (b skippedBody) Content(s *hcl.BodySchema) (*hcl.BodyContent, hcl.Diagnostics) {
	content, diags := b.Body.Content(s)
	kept := diags[:0:0]
	for _, d := range diags {
		if name := quoted(d.Detail); name == "" || !b.skip(name) {
			kept = append(kept, d)
		}
	}
	return content, kept
}
