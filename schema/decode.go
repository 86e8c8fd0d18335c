package schema

import (
	"fmt"
	"reflect"
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
	// value, whatever the field's mode. Nil leaves strings alone.
	Render func(f *Field, text string) (string, error)
	// Skip tells names on the top level that are not the component's own.
	Skip func(name string) bool
	// Unknown is told of each option whose value is not wholly known yet. Nil: it is
	// not asked for.
	Unknown func(option string, attr *hcl.Attribute)

	overlay bool // lists are laid over those that are there
}

// Positions tells where each field was set, by its present name.
type Positions map[string]hcl.Range

// Body decodes an HCL body, native or JSON syntax, over dst, a pointer to a
// struct. Fields that the body does not set get their default if they are zero.
func (d *Decoder) Body(body hcl.Body, dst any) (Positions, hcl.Diagnostics) {
	v := reflect.ValueOf(dst).Elem()
	pos := Positions{}
	st := of(v)
	defaults(st, v)
	var diags hcl.Diagnostics
	if d.Weak {
		diags = d.weakBody(body, st, v, pos)
	} else {
		diags = d.strictBody(body, st, v, pos, true)
	}
	return pos, append(diags, missing(st, pos, body.MissingItemRange())...)
}

// Value decodes an object value over dst, as provisioner overrides do: scalars
// are replaced, maps merged by key, lists overlaid by index.
func (d *Decoder) Value(val cty.Value, rng hcl.Range, dst any) hcl.Diagnostics {
	v := reflect.ValueOf(dst).Elem()
	over := *d
	over.overlay = true
	return over.object(val, rng, of(v), v, nil, true)
}

// Defaults sets every zero field of dst that has a default.
func Defaults(dst any) {
	v := reflect.ValueOf(dst).Elem()
	defaults(of(v), v)
}

func defaults(st *Struct, v reflect.Value) {
	for _, f := range st.Fields {
		fv := f.In(v)
		if f.HasDefault && fv.IsZero() {
			var val cty.Value
			switch f.Kind {
			case List:
				var items []cty.Value
				for part := range strings.SplitSeq(f.Default, "|") {
					items = append(items, cty.StringVal(part))
				}
				val = cty.TupleVal(items)
			default:
				val = cty.StringVal(f.Default)
			}
			if err := assign(fv, val, true); err != nil {
				panic(fmt.Sprintf("schema: %v.%s: bad default: %v", st.Type, f.GoName, err))
			}
		}
		if f.Kind == Block && fv.Kind() == reflect.Struct {
			defaults(f.Elem, fv)
		}
	}
}

func missing(st *Struct, pos Positions, rng hcl.Range) (diags hcl.Diagnostics) {
	for _, f := range st.Fields {
		if f.Required && pos != nil {
			if _, ok := pos[f.Name]; !ok {
				diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Missing required argument",
					Detail: fmt.Sprintf("The argument %q is required, but no definition was found.", f.Name), Subject: &rng})
			}
		}
	}
	return diags
}

// strictBody decodes HCL2: exact names, blocks as blocks.
func (d *Decoder) strictBody(body hcl.Body, st *Struct, v reflect.Value, pos Positions, top bool) hcl.Diagnostics {
	content, rest, diags := body.PartialContent(st.body)
	diags = append(diags, d.unknown(rest, st, top)...)
	for _, attr := range sorted(content.Attributes) {
		f := st.names[attr.Name]
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
			d.Unknown(f.Name, attr)
		}
		diags = append(diags, d.attribute(f, v, val, attr.Expr.Range())...)
	}
	seen := map[string]bool{}
	for _, blk := range content.Blocks {
		f := st.names[blk.Type]
		if f.Refused != "" {
			diags = append(diags, refused(blk.Type, f, blk.DefRange))
			continue
		}
		if f.Kind == Block && seen[f.Name] {
			diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: fmt.Sprintf("Duplicate %s block", blk.Type),
				Detail: fmt.Sprintf("Only one %s block is allowed.", blk.Type), Subject: &blk.DefRange})
			continue
		}
		seen[f.Name] = true
		pos[f.Name] = blk.DefRange
		inner := Positions{}
		target := blockTarget(f, v, -1)
		defaults(f.Elem, target)
		diags = append(diags, d.strictBody(blk.Body, f.Elem, target, inner, false)...)
		diags = append(diags, missing(f.Elem, inner, blk.Body.MissingItemRange())...)
	}
	return diags
}

var nothing = &hcl.BodySchema{}

// unknown reports what the schema does not know, each with the name that was
// probably meant.
func (d *Decoder) unknown(rest hcl.Body, st *Struct, top bool) (diags hcl.Diagnostics) {
	if top && d.Skip != nil {
		rest = skipBody(rest, d.Skip)
	}
	_, left := rest.Content(nothing)
	for _, diag := range left {
		if name := quoted(diag.Detail); name != "" {
			if s := Suggest(name, st.Names()); s != "" {
				if f := st.names[s]; f != nil && (f.Kind == Block || f.Kind == BlockSet) {
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

// Names are the present names of all fields, sorted.
func (s *Struct) Names() []string {
	var names []string
	for _, f := range s.Fields {
		names = append(names, f.Name)
	}
	sort.Strings(names)
	return names
}

// weakBody decodes a legacy JSON object.
func (d *Decoder) weakBody(body hcl.Body, st *Struct, v reflect.Value, pos Positions) hcl.Diagnostics {
	attrs, diags := body.JustAttributes()
	for _, attr := range sorted(attrs) {
		if d.Skip != nil && d.Skip(attr.Name) {
			continue
		}
		f := st.FieldFold(attr.Name)
		if f == nil {
			diags = append(diags, unknownKey(attr.Name, st, attr.NameRange))
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
			d.Unknown(f.Name, attr)
		}
		diags = append(diags, d.attribute(f, v, val, attr.Expr.Range())...)
	}
	return diags
}

func unknownKey(name string, st *Struct, rng hcl.Range) *hcl.Diagnostic {
	diag := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: fmt.Sprintf(`unknown configuration key: '"%s"'`, name), Subject: &rng}
	if s := Suggest(name, st.Names()); s != "" {
		diag.Detail = fmt.Sprintf("Did you mean %q?", s)
	}
	return diag
}

func refused(name string, f *Field, rng hcl.Range) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Unsupported argument",
		Detail: fmt.Sprintf("%q cannot be used: %s.", name, strings.TrimSuffix(f.Refused, ".")), Subject: &rng}
}

// attribute sets one field from a value.
func (d *Decoder) attribute(f *Field, v reflect.Value, val cty.Value, rng hcl.Range) hcl.Diagnostics {
	if f.Kind == Block || f.Kind == BlockSet {
		return d.blocks(f, v, val, rng)
	}
	// The old name of a field may stand beside the new one: the later wins.
	val, err := d.render(f, known(val))
	if err == nil {
		fv := f.In(v)
		if !d.overlay {
			fv.SetZero() // a default goes as a whole
		}
		err = assign(fv, val, d.Weak)
	}
	if err == nil && len(f.OneOf) > 0 {
		err = oneOf(f, f.In(v))
	}
	if err == nil {
		return nil
	}
	return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Incorrect attribute value type",
		Detail: fmt.Sprintf("Inappropriate value for attribute %q: %s.", f.Name, strings.TrimSuffix(err.Error(), ".")), Subject: &rng}}
}

func oneOf(f *Field, fv reflect.Value) error {
	vals := []string{}
	switch {
	case fv.Kind() == reflect.String:
		vals = []string{fv.String()}
	case fv.Kind() == reflect.Slice && fv.Type().Elem().Kind() == reflect.String:
		for i := range fv.Len() {
			vals = append(vals, fv.Index(i).String())
		}
	}
	for _, s := range vals {
		if s != "" && s != unknownText && !slices.Contains(f.OneOf, s) {
			err := fmt.Errorf("%q is not one of %s", s, strings.Join(f.OneOf, ", "))
			if near := Suggest(s, f.OneOf); near != "" {
				err = fmt.Errorf("%w (did you mean %q?)", err, near)
			}
			return err
		}
	}
	return nil
}

// blocks sets a nested block, or a list of them, from an object value or a list.
func (d *Decoder) blocks(f *Field, v reflect.Value, val cty.Value, rng hcl.Range) (diags hcl.Diagnostics) {
	val = known(val)
	items := []cty.Value{val}
	if ty := val.Type(); ty.IsTupleType() || ty.IsListType() || ty.IsSetType() {
		items = val.AsValueSlice()
	}
	if f.Kind == Block && len(items) > 1 {
		return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Incorrect attribute value type",
			Detail: fmt.Sprintf("Inappropriate value for %q: one object is required, not a list.", f.Name), Subject: &rng}}
	}
	for i, item := range items {
		target := blockTarget(f, v, i)
		defaults(f.Elem, target)
		inner := Positions{}
		more := d.object(item, rng, f.Elem, target, inner, false)
		if !more.HasErrors() {
			more = append(more, missing(f.Elem, inner, rng)...)
		}
		diags = append(diags, more...)
	}
	return diags
}

// object sets the fields of a struct from an object value.
func (d *Decoder) object(val cty.Value, rng hcl.Range, st *Struct, v reflect.Value, pos Positions, top bool) (diags hcl.Diagnostics) {
	if !val.Type().IsObjectType() && !val.Type().IsMapType() {
		return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Incorrect attribute value type", Detail: "An object is required.", Subject: &rng}}
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
		f := st.names[name]
		if d.Weak {
			f = st.FieldFold(name)
		}
		switch {
		case f == nil && d.Weak:
			diags = append(diags, unknownKey(name, st, rng))
		case f == nil:
			detail := fmt.Sprintf("An argument named %q is not expected here.", name)
			if s := Suggest(name, st.Names()); s != "" {
				detail += fmt.Sprintf(" Did you mean %q?", s)
			}
			diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Unsupported argument", Detail: detail, Subject: &rng})
		case f.Refused != "":
			diags = append(diags, refused(name, f, rng))
		case !item.IsNull():
			if pos != nil {
				pos[f.Name] = rng
			}
			diags = append(diags, d.attribute(f, v, item, rng)...)
		}
	}
	return diags
}

// blockTarget is the struct that a nested block fills: of a list the element at
// index i, made if it does not exist, or a new last one for i < 0.
func blockTarget(f *Field, v reflect.Value, i int) reflect.Value {
	fv := f.In(v)
	switch fv.Kind() {
	case reflect.Pointer:
		if fv.IsNil() {
			fv.Set(reflect.New(fv.Type().Elem()))
		}
		return fv.Elem()
	case reflect.Slice:
		if i < 0 {
			i = fv.Len()
		}
		for fv.Len() <= i {
			fv.Set(reflect.Append(fv, reflect.Zero(fv.Type().Elem())))
		}
		return fv.Index(i)
	}
	return fv
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
