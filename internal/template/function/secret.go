package function

import (
	"errors"
	"fmt"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"kiln/internal/redact"
	"kiln/schema"
)

// marking are Kiln's own functions that say what is a secret. They are given and return
// marked values.
func marking(hide func(string)) map[string]function.Function {
	marked := func(change func(v cty.Value) cty.Value) function.Function {
		return function.New(&function.Spec{
			Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowNull: true,
				AllowUnknown: true, AllowDynamicType: true, AllowMarked: true}},
			Type: func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return change(args[0]), nil },
		})
	}
	return map[string]function.Function{
		"sensitive": marked(func(v cty.Value) cty.Value {
			schema.Leaves(v, "", func(_, text string, _ bool) {
				if hide != nil {
					hide(text)
				}
			})
			return schema.Sensitive(v)
		}),
		"nonsensitive": marked(schema.Public),
	}
}

// unwatched are functions that make no new text, that are given expressions in place of
// values, or that call others which are watched.
var unwatched = map[string]bool{"can": true, "try": true, "convert": true, "sensitive": true,
	"nonsensitive": true, "templatefile": true}

// watch makes functions tell what they make of secrets.
func (o *Options) watch(all map[string]function.Function) {
	if o.Hide == nil {
		return
	}
	for name, f := range all {
		if !unwatched[name] && (len(f.Params()) > 0 || f.VarParam() != nil) {
			all[name] = o.watched(f)
		}
	}
}

// watched is a function that tells what it makes of secrets. All else is left to the
// function itself.
func (o *Options) watched(f function.Function) function.Function {
	open := func(p function.Parameter) function.Parameter {
		p.AllowNull, p.AllowUnknown, p.AllowDynamicType, p.AllowMarked = true, true, true, true
		return p
	}
	spec := &function.Spec{Type: function.StaticReturnType(cty.DynamicPseudoType)}
	for _, p := range f.Params() {
		spec.Params = append(spec.Params, open(p))
	}
	if p := f.VarParam(); p != nil {
		all := open(*p)
		spec.VarParam = &all
	}
	spec.Impl = func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		out, err := f.Call(args)
		marked, secret := o.marked(args)
		switch {
		case !secret:
			return out, err
		case err != nil:
			return out, withoutSecrets(marked, err)
		}
		o.made(marked, schema.Sensitive(out))
		return out, nil
	}
	return function.New(spec)
}

// longest bounds the texts in which secrets without a mark are looked for.
const longest = 64 << 10

// marked are arguments with the marks of secrets, and whether there are any. A loop over
// a secret marks what it gives as a whole, and takes the mark off the elements that its
// body sees: such are known by their texts.
func (o *Options) marked(args []cty.Value) (all []cty.Value, secret bool) {
	holds := func(text string) bool { return o.Secret != nil && len(text) <= longest && o.Secret(text) }
	for _, arg := range args {
		if !schema.IsSensitive(arg) {
			arg = schema.Marked(arg, holds)
		}
		secret = secret || schema.IsSensitive(arg)
		all = append(all, arg)
	}
	return all, secret
}

// made hides what a function made of arguments, of which some are secret.
func (o *Options) made(args []cty.Value, out cty.Value) {
	var secrets, clear []string
	for _, arg := range args {
		schema.Leaves(arg, "", func(_, text string, secret bool) {
			switch {
			case text == "":
			case secret:
				secrets = append(secrets, text)
			default:
				clear = append(clear, text)
			}
		})
	}
	schema.Leaves(out, "", func(_, text string, secret bool) {
		if !secret {
			return
		}
		for _, line := range redact.Made(text, secrets, clear) {
			o.Hide(line)
		}
	})
}

// withoutSecrets is an error of a function without the secrets it was given.
func withoutSecrets(args []cty.Value, err error) error {
	text := err.Error()
	for _, arg := range args {
		schema.Leaves(arg, "", func(_, leaf string, secret bool) {
			if !secret || leaf == "" {
				return
			}
			text = strings.ReplaceAll(text, fmt.Sprintf("%q", leaf), "a value that is sensitive")
			if !redact.Short(leaf) {
				text = strings.ReplaceAll(text, leaf, "a value that is sensitive")
			}
		})
	}
	if text == err.Error() {
		return err
	}
	if arg, ok := errors.AsType[function.ArgError](err); ok {
		return function.NewArgErrorf(arg.Index, "%s", text)
	}
	return errors.New(text)
}
