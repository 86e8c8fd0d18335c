// Package function holds the functions of HCL2 templates (docs/compat/templates.md 3.10),
// with the behaviour that Packer gives them.
package function

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	yaml "github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"kiln/internal/template/interpolate"
	"kiln/internal/template/outside"
)

// Options is what some functions depend on.
type Options struct {
	Dir   string    // folder of the template, to which file paths are relative
	Start time.Time // of the program, for legacy_isotime and legacy_strftime
	// Secrets answers vault, consul_key and aws_secretsmanager; nil: they are refused.
	Secrets interpolate.Secrets
	World   *outside.World         // where files, times and random values come from; nil: the machine
	Hide    func(text string)      // is told what functions make of secrets; nil: it is not hidden
	Secret  func(text string) bool // reports whether a text holds a secret, marked or not; nil: marks tell
}

// static are the functions that depend on nothing, made once.
var static = sync.OnceValue(func() map[string]function.Function {
	f := map[string]function.Function{
		"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "floor": stdlib.FloorFunc, "signum": stdlib.SignumFunc,
		"max": stdlib.MaxFunc, "min": stdlib.MinFunc, "log": stdlib.LogFunc, "pow": stdlib.PowFunc, "parseint": stdlib.ParseIntFunc,
		"chomp": stdlib.ChompFunc, "format": stdlib.FormatFunc, "formatlist": stdlib.FormatListFunc, "indent": stdlib.IndentFunc,
		"join": stdlib.JoinFunc, "split": stdlib.SplitFunc, "lower": stdlib.LowerFunc, "upper": stdlib.UpperFunc, "title": stdlib.TitleFunc,
		"replace": stdlib.ReplaceFunc, "regex_replace": stdlib.RegexReplaceFunc, "regex": stdlib.RegexFunc, "regexall": stdlib.RegexAllFunc,
		"strrev": stdlib.ReverseFunc, "substr": stdlib.SubstrFunc, "trim": stdlib.TrimFunc, "trimprefix": stdlib.TrimPrefixFunc,
		"trimsuffix": stdlib.TrimSuffixFunc, "trimspace": stdlib.TrimSpaceFunc,
		"chunklist": stdlib.ChunklistFunc, "coalescelist": stdlib.CoalesceListFunc, "compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc,
		"contains": stdlib.ContainsFunc, "distinct": stdlib.DistinctFunc, "flatten": stdlib.FlattenFunc,
		"keys": stdlib.KeysFunc, "values": stdlib.ValuesFunc, "lookup": stdlib.LookupFunc, "merge": stdlib.MergeFunc,
		"range": stdlib.RangeFunc, "reverse": stdlib.ReverseListFunc, "setintersection": stdlib.SetIntersectionFunc,
		"setunion": stdlib.SetUnionFunc, "setproduct": stdlib.SetProductFunc, "slice": stdlib.SliceFunc, "sort": stdlib.SortFunc,
		"zipmap": stdlib.ZipmapFunc, "csvdecode": stdlib.CSVDecodeFunc, "jsondecode": stdlib.JSONDecodeFunc, "jsonencode": stdlib.JSONEncodeFunc,
		"yamldecode": yaml.YAMLDecodeFunc, "yamlencode": yaml.YAMLEncodeFunc, "formatdate": stdlib.FormatDateFunc, "timeadd": stdlib.TimeAddFunc,
		"can": tryfunc.CanFunc, "try": tryfunc.TryFunc,
	}
	for _, more := range []map[string]function.Function{stringTests(), collections(), encodings(), hashes(), networks(), times()} {
		maps.Copy(f, more)
	}
	return f
})

// Functions are all functions of templates.
func Functions(o Options) map[string]function.Function {
	if o.World == nil {
		o.World = outside.New()
	}
	f := maps.Clone(static())
	maps.Copy(f, started(o.Start))
	maps.Copy(f, made(o.World))
	maps.Copy(f, files(o.Dir, o.World))
	maps.Copy(f, secrets(o.Secrets))
	maps.Copy(f, marking(o.Hide))
	o.watch(f)
	f["templatefile"] = templateFile(o.World, o.Dir, maps.Clone(f))
	return f
}

// Names are the names of all functions, sorted, for suggestions.
func Names() []string { return slices.Sorted(maps.Keys(Functions(Options{Dir: "."}))) }

// Env is the function env of variable defaults.
func Env(lookup func(name string) string) function.Function {
	return text("name", func(name string) (string, error) { return lookup(name), nil })
}

// text is a function from one string to another.
func text(param string, f func(string) (string, error)) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: param, Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			out, err := f(args[0].AsString())
			if err != nil {
				return cty.UnknownVal(cty.String), err
			}
			return cty.StringVal(out), nil
		},
	})
}

// text2 is a function from two strings to one.
func text2(a, b string, f func(a, b string) (cty.Value, error), ret cty.Type) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: a, Type: cty.String}, {Name: b, Type: cty.String}},
		Type:   function.StaticReturnType(ret),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return f(args[0].AsString(), args[1].AsString())
		},
	})
}
