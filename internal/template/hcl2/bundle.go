package hcl2

import (
	"slices"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"kiln/internal/template"
	"kiln/schema"
)

// Bundle adds the values of the template's variables and all results of data sources.
func (sc *scope) Bundle(b *template.Bundle) {
	for name, g := range sc.vars {
		if v, ok := bundled(g.value); ok {
			v.From = g.from
			b.SetVariable(name, v, sc.variables[name].sensitive)
		}
	}
	sc.bundleData(b)
}

func (sc *scope) bundleData(b *template.Bundle) {
	for key, val := range sc.read {
		if v, ok := bundled(val); ok && sc.evaluateData {
			b.SetData(sc.place+"data."+key[0]+"."+key[1], v)
		}
	}
	for _, child := range sc.children {
		child.bundleData(b)
	}
}

// bundled is a value with its type, where it is known and no secret.
func bundled(v cty.Value) (out template.Value, ok bool) {
	if v == cty.NilVal || !v.IsWhollyKnown() || schema.IsSensitive(v) {
		return out, false
	}
	var err error
	if out.Type, err = ctyjson.MarshalType(v.Type()); err != nil {
		return out, false
	}
	out.JSON, err = ctyjson.Marshal(v, v.Type())
	return out, err == nil
}

func unbundled(v template.Value) (cty.Value, error) {
	ty, err := ctyjson.UnmarshalType(v.Type)
	if err != nil {
		return cty.NilVal, err
	}
	return ctyjson.Unmarshal(v.JSON, ty)
}

// restore gives variables the values of a bundle. Those that it does not hold must
// have been given again.
func (sc *scope) restore(b *template.Bundle) {
	for _, name := range sc.order {
		if v, ok := b.Variables[name]; ok {
			val, err := unbundled(v)
			if err != nil {
				sc.problems = append(sc.problems, template.ErrorfAt(sc.variables[name].rng,
					"Invalid value in the plan", "%s: %v.", name, err))
				continue
			}
			sc.vars[name] = given{value: val, from: v.From}
			continue
		}
		from, secret := b.Secrets[name]
		lacking := slices.DeleteFunc(slices.Clone(sc.variables[name].env),
			func(env string) bool { return !b.Lacks(env, sc.Environ) })
		again := sc.vars[name].from != "" && (sc.vars[name].from != "default" || from == "default" &&
			len(lacking) == 0)
		if secret && !again {
			sc.problems = append(sc.problems, b.Missing(name, lacking...))
			sc.spoil(sc.variables[name])
		}
	}
}
