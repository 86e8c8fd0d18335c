package schema

import (
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// render renders every string of a value, and the keys of maps. Marks stay.
func (d *Decoder) render(f *Field, val cty.Value) (cty.Value, error) {
	if d.Render == nil || f.Render == RenderNone || val.IsNull() {
		return val, nil
	}
	val, marks := val.Unmark()
	out, err := d.renderAll(f, val)
	return out.WithMarks(marks), err
}

func (d *Decoder) renderAll(f *Field, val cty.Value) (cty.Value, error) {
	switch ty := val.Type(); {
	case ty == cty.String:
		text := val.AsString()
		if !strings.Contains(text, "{{") {
			return val, nil
		}
		out, secret, err := d.Render(f, text)
		if secret {
			return Sensitive(cty.StringVal(out)), err
		}
		return cty.StringVal(out), err
	case ty.IsTupleType() || ty.IsListType() || ty.IsSetType():
		var items []cty.Value
		for it := val.ElementIterator(); it.Next(); {
			_, item := it.Element()
			out, err := d.render(f, item)
			if err != nil {
				return val, err
			}
			items = append(items, out)
		}
		return cty.TupleVal(items), nil
	case ty.IsObjectType() || ty.IsMapType():
		items := map[string]cty.Value{}
		for it := val.ElementIterator(); it.Next(); {
			k, item := it.Element()
			key, err := d.render(f, k)
			if err != nil {
				return val, err
			}
			name, marks := key.Unmark()
			out, err := d.render(f, item)
			if err != nil {
				return val, err
			}
			items[name.AsString()] = out.WithMarks(marks)
		}
		return cty.ObjectVal(items), nil
	}
	return val, nil
}
