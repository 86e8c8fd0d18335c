package template

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"kiln"
	"kiln/schema"
)

// JSONOf is a known value as JSON; nil: it is not known.
func JSONOf(v cty.Value) []byte {
	if v == cty.NilVal {
		return nil
	}
	if !v.IsWhollyKnown() {
		return nil
	}
	if schema.IsSensitive(v) {
		return maskedJSON(v)
	}
	v = schema.Bare(v)
	text, err := ctyjson.Marshal(v, v.Type())
	if err != nil {
		return nil
	}
	return text
}

// maskedJSON is a value as JSON in which secrets are masked.
func maskedJSON(v cty.Value) []byte {
	var text []byte
	switch ty := v.Type(); {
	case v.IsMarked():
		text, _ = json.Marshal(kiln.Masked) // a text can always be written
	case v.IsNull() || ty.IsPrimitiveType():
		return JSONOf(v)
	case ty.IsObjectType() || ty.IsMapType():
		items := map[string]json.RawMessage{}
		for it := v.ElementIterator(); it.Next(); {
			k, item := it.Element()
			items[k.AsString()] = maskedJSON(item)
		}
		text, _ = json.Marshal(items)
	default:
		items := []json.RawMessage{}
		for it := v.ElementIterator(); it.Next(); {
			_, item := it.Element()
			items = append(items, maskedJSON(item))
		}
		text, _ = json.Marshal(items)
	}
	return text
}

// Show is a value as inspect shows it: its text as a quoted string.
func Show(v cty.Value) string {
	if v == cty.NilVal || !v.IsKnown() {
		return `"<unknown>"`
	}
	return fmt.Sprintf("%q", ShowText(v, true))
}

// showNumber writes whole numbers with all their digits, and others as exactly as people
// and Packer's console know them.
func showNumber(n *big.Float) string {
	if n.IsInt() || n.IsInf() {
		return n.Text('f', -1)
	}
	f, _ := n.Float64()
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// ShowText is a value as the console shows it. Secrets in it are masked.
func ShowText(v cty.Value, top bool) string {
	switch ty := v.Type(); {
	case !v.IsKnown():
		return "<unknown>"
	case v.IsMarked() && top:
		return kiln.Masked
	case v.IsMarked():
		return fmt.Sprintf("%q", kiln.Masked)
	case v.IsNull():
		return "null"
	case ty == cty.String:
		if top {
			return v.AsString()
		}
		return fmt.Sprintf("%q", v.AsString())
	case ty == cty.Number:
		return showNumber(v.AsBigFloat())
	case ty == cty.Bool:
		return fmt.Sprint(v.True())
	case (ty.IsTupleType() || ty.IsListType() || ty.IsSetType()) && v.LengthInt() == 0:
		return "[]"
	case (ty.IsMapType() || ty.IsObjectType()) && v.LengthInt() == 0:
		return "{}"
	case ty.IsTupleType() || ty.IsListType() || ty.IsSetType():
		var b strings.Builder
		b.WriteString("[\n")
		for it := v.ElementIterator(); it.Next(); {
			_, item := it.Element()
			fmt.Fprintf(&b, "  %s,\n", strings.ReplaceAll(ShowText(item, false), "\n", "\n  "))
		}
		return b.String() + "]"
	}
	var b strings.Builder
	b.WriteString("{\n")
	for it := v.ElementIterator(); it.Next(); {
		k, item := it.Element()
		fmt.Fprintf(&b, "  %q = %s\n", k.AsString(), strings.ReplaceAll(ShowText(item, false), "\n", "\n  "))
	}
	return b.String() + "}"
}
