package schema

import (
	"fmt"

	"github.com/zclconf/go-cty/cty"

	"kiln"
)

// sensitive is the mark of a value that is a secret or was made of one. Expressions
// and functions carry it along.
type sensitive struct{}

// Sensitive marks a value as a secret.
func Sensitive(v cty.Value) cty.Value { return v.Mark(sensitive{}) }

// IsSensitive reports whether a value, or one inside it, is a secret or made of one.
func IsSensitive(v cty.Value) bool {
	if v == cty.NilVal {
		return false
	}
	if v.IsMarked() || v.Type().IsPrimitiveType() {
		return v.HasMark(sensitive{}) || !v.Type().IsPrimitiveType() && v.HasMarkDeep(sensitive{})
	}
	return v.HasMarkDeep(sensitive{})
}

// Public takes that mark off a value and all inside it. Other marks stay, on the whole.
func Public(v cty.Value) cty.Value {
	bare, marks := v.UnmarkDeep()
	delete(marks, sensitive{})
	return bare.WithMarks(marks)
}

// Marked marks the texts in a value that hold a secret.
func Marked(v cty.Value, secret func(text string) bool) cty.Value {
	if !anyText(v, secret) {
		return v
	}
	out, err := cty.Transform(v, func(_ cty.Path, v cty.Value) (cty.Value, error) {
		if v.Type() == cty.String && v.IsKnown() && !v.IsNull() && !v.IsMarked() && secret(v.AsString()) {
			return Sensitive(v), nil
		}
		return v, nil
	})
	if err != nil {
		return Sensitive(v) // cannot be: nothing above fails
	}
	return out
}

// anyText reports whether is says so of a text in a value. Most values hold no secret, and
// nothing is made anew for them.
func anyText(v cty.Value, is func(text string) bool) bool {
	v, _ = v.Unmark()
	if v.IsNull() || !v.IsKnown() {
		return false
	}
	if v.Type() == cty.String {
		return is(v.AsString())
	}
	if !v.CanIterateElements() {
		return false
	}
	for it := v.ElementIterator(); it.Next(); {
		if _, item := it.Element(); anyText(item, is) {
			return true
		}
	}
	return false
}

// Bare is a value without any marks.
func Bare(v cty.Value) cty.Value {
	if v == cty.NilVal || !v.IsMarked() && v.Type().IsPrimitiveType() {
		return v
	}
	v, _ = v.UnmarkDeep()
	return v
}

// Leaves calls visit with each text and number in a value, as text, with its place
// below at, and with whether it is a secret. What is null or unknown is left out; of
// booleans nothing can be learned.
func Leaves(v cty.Value, at string, visit func(at, text string, secret bool)) {
	if v != cty.NilVal {
		leaves(v, at, false, visit)
	}
}

func leaves(v cty.Value, at string, secret bool, visit func(at, text string, secret bool)) {
	secret = secret || v.HasMark(sensitive{})
	v, _ = v.Unmark()
	switch ty := v.Type(); {
	case v.IsNull() || !v.IsKnown():
		if secret {
			visit(at, "", true)
		}
	case ty == cty.String:
		visit(at, v.AsString(), secret)
	case ty == cty.Number:
		visit(at, v.AsBigFloat().Text('f', -1), secret)
	case ty == cty.Bool:
		visit(at, "", secret)
	case ty.IsObjectType() || ty.IsMapType():
		if secret {
			visit(at, "", true) // with its names
		}
		for it := v.ElementIterator(); it.Next(); {
			k, item := it.Element()
			name, _ := k.Unmark()
			leaves(item, at+"."+name.AsString(), secret, visit)
		}
	case v.CanIterateElements():
		i := 0
		for it := v.ElementIterator(); it.Next(); i++ {
			_, item := it.Element()
			leaves(item, fmt.Sprintf("%s[%d]", at, i), secret, visit)
		}
	}
}

// mask is what stands for an option, or a part of one, that is a secret.
const mask = kiln.Masked
