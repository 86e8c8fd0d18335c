package function

import (
	"errors"
	"strings"

	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"kiln/internal/template/interpolate"
	"kiln/schema"
)

func stringTests() map[string]function.Function {
	test := func(f func(s, part string) bool) function.Function {
		return text2("str", "part", func(a, b string) (cty.Value, error) { return cty.BoolVal(f(a, b)), nil }, cty.Bool)
	}
	return map[string]function.Function{
		"startswith": test(strings.HasPrefix), "endswith": test(strings.HasSuffix), "strcontains": test(strings.Contains),
	}
}

func collections() map[string]function.Function {
	return map[string]function.Function{
		"element": element, "alltrue": every(true), "anytrue": every(false), "coalesce": coalesce, "index": index, "length": length, "sum": sum,
		"convert": typeexpr.ConvertFunc,
	}
}

// list is the one parameter of functions over any collection.
var list = []function.Parameter{{Name: "list", Type: cty.DynamicPseudoType, AllowDynamicType: true}}

func sequence(v cty.Value) error {
	if ty := v.Type(); ty != cty.DynamicPseudoType && !ty.IsListType() && !ty.IsSetType() && !ty.IsTupleType() {
		return function.NewArgErrorf(0, "a list, set or tuple is required, not %s", ty.FriendlyName())
	}
	return nil
}

// every is alltrue for true and anytrue for false.
func every(all bool) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "list", Type: cty.List(cty.Bool)}},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			unknown := false
			for it := args[0].ElementIterator(); it.Next(); {
				_, v := it.Element()
				switch {
				case !v.IsKnown():
					unknown = true
				case v.IsNull():
					if all {
						return cty.False, nil
					}
				case v.True() != all:
					return cty.BoolVal(!all), nil
				}
			}
			if unknown {
				return cty.UnknownVal(cty.Bool), nil
			}
			return cty.BoolVal(all), nil
		},
	})
}

// coalesce passes over empty strings, as well as null.
var coalesce = function.New(&function.Spec{
	VarParam: &function.Parameter{Name: "vals", Type: cty.DynamicPseudoType, AllowUnknown: true, AllowDynamicType: true, AllowNull: true},
	Type: func(args []cty.Value) (cty.Type, error) {
		types := make([]cty.Type, len(args))
		for i, v := range args {
			types[i] = v.Type()
		}
		ty, _ := convert.UnifyUnsafe(types)
		if ty == cty.NilType {
			return cty.NilType, errors.New("all arguments must have the same type")
		}
		return ty, nil
	},
	Impl: func(args []cty.Value, ret cty.Type) (cty.Value, error) {
		for _, v := range args {
			v, err := convert.Convert(v, ret)
			if err != nil {
				return cty.NilVal, err
			}
			if !v.IsKnown() {
				return cty.UnknownVal(ret), nil
			}
			if v.IsNull() || ret == cty.String && v.AsString() == "" {
				continue
			}
			return v, nil
		}
		return cty.NilVal, errors.New("no non-null, non-empty-string arguments")
	},
})

var index = function.New(&function.Spec{
	Params: []function.Parameter{list[0], {Name: "value", Type: cty.DynamicPseudoType, AllowDynamicType: true}},
	Type: func(args []cty.Value) (cty.Type, error) {
		if ty := args[0].Type(); ty != cty.DynamicPseudoType && !ty.IsListType() && !ty.IsTupleType() {
			return cty.NilType, function.NewArgErrorf(0, "argument must be a list or tuple")
		}
		return cty.Number, nil
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if args[0].LengthInt() == 0 {
			return cty.NilVal, errors.New("cannot search an empty list")
		}
		for it := args[0].ElementIterator(); it.Next(); {
			i, v := it.Element()
			eq, err := stdlib.Equal(v, args[1])
			if err != nil {
				return cty.NilVal, err
			}
			if !eq.IsKnown() {
				return cty.UnknownVal(cty.Number), nil
			}
			if eq.True() {
				return i, nil
			}
		}
		return cty.NilVal, errors.New("item not found")
	},
})

// length counts the characters of a string too.
var length = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowDynamicType: true, AllowUnknown: true}},
	Type: func(args []cty.Value) (cty.Type, error) {
		ty := args[0].Type()
		if ty == cty.String || ty == cty.DynamicPseudoType || ty.IsCollectionType() || ty.IsTupleType() || ty.IsObjectType() {
			return cty.Number, nil
		}
		return cty.NilType, errors.New("argument must be a string, a collection type, or a structural type")
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		v := args[0]
		switch ty := v.Type(); {
		case ty == cty.DynamicPseudoType:
			return cty.UnknownVal(cty.Number), nil
		case ty.IsTupleType():
			return cty.NumberIntVal(int64(ty.Length())), nil
		case ty.IsObjectType():
			return cty.NumberIntVal(int64(len(ty.AttributeTypes()))), nil
		case !v.IsKnown():
			return cty.UnknownVal(cty.Number), nil
		case ty == cty.String:
			return stdlib.Strlen(v)
		}
		return v.Length(), nil
	},
})

var sum = function.New(&function.Spec{
	Params: list,
	Type: func(args []cty.Value) (cty.Type, error) {
		return cty.Number, sequence(args[0])
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if args[0].LengthInt() == 0 {
			return cty.NilVal, function.NewArgErrorf(0, "cannot sum an empty list")
		}
		total := cty.Zero
		for it := args[0].ElementIterator(); it.Next(); {
			_, v := it.Element()
			n, err := convert.Convert(v, cty.Number)
			if err != nil || n.IsNull() {
				return cty.NilVal, function.NewArgErrorf(0, "all elements must be numbers")
			}
			if !n.IsKnown() {
				return cty.UnknownVal(cty.Number), nil
			}
			if total, err = stdlib.Add(total, n); err != nil {
				return cty.NilVal, err
			}
		}
		return total, nil
	},
})

var errNoSecrets = errors.New("secrets cannot be read here")

// noSecrets stands where there are no services to ask.
type noSecrets struct{}

func (noSecrets) Vault(string, string) (string, error) { return "", errNoSecrets }
func (noSecrets) Consul(string) (string, error)        { return "", errNoSecrets }
func (noSecrets) AWS(string, string) (string, error)   { return "", errNoSecrets }
func (noSecrets) AWSRaw(string) (string, error)        { return "", errNoSecrets }

// secrets are the functions that ask a service. What Consul holds is not taken for secret.
func secrets(s interpolate.Secrets) map[string]function.Function {
	if s == nil {
		s = noSecrets{}
	}
	value := func(text string, err error) (cty.Value, error) {
		if err != nil {
			return cty.UnknownVal(cty.String), err
		}
		return schema.Sensitive(cty.StringVal(text)), nil
	}
	return map[string]function.Function{
		"consul_key": text("key", s.Consul),
		"aws_secretsmanager_raw": function.New(&function.Spec{
			Params: []function.Parameter{{Name: "name", Type: cty.String}},
			Type:   function.StaticReturnType(cty.String),
			Impl:   func(args []cty.Value, _ cty.Type) (cty.Value, error) { return value(s.AWSRaw(args[0].AsString())) },
		}),
		"vault": text2("path", "key", func(path, key string) (cty.Value, error) { return value(s.Vault(path, key)) }, cty.String),
		"aws_secretsmanager": function.New(&function.Spec{
			Params: []function.Parameter{{Name: "name", Type: cty.String}, {Name: "key", Type: cty.String, AllowNull: true}},
			Type:   function.StaticReturnType(cty.String),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				key := ""
				if !args[1].IsNull() {
					key = args[1].AsString()
				}
				return value(s.AWS(args[0].AsString(), key))
			},
		}),
	}
}

// element refuses a negative index, as Packer does.
var element = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "list", Type: cty.DynamicPseudoType}, {Name: "index", Type: cty.Number}},
	Type: func(args []cty.Value) (cty.Type, error) {
		if args[1].IsKnown() && !args[1].IsNull() && args[1].AsBigFloat().Sign() < 0 {
			return cty.DynamicPseudoType, function.NewArgErrorf(1, "cannot use element function with a negative index")
		}
		return stdlib.ElementFunc.ReturnTypeForValues(args)
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return stdlib.ElementFunc.Call(args) },
})
