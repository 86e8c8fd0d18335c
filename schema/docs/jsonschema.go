package docs

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"kiln/schema"
)

type object = map[string]any

const draft = "https://json-schema.org/draft/2020-12/schema"

var (
	text       = object{"type": "string"}
	textOrNull = object{"type": []string{"string", "null"}}
)

func ref(name string) object { return object{"$ref": "#/$defs/" + name} }

// orList is a value or a list of such.
func orList(o object) object {
	return object{"anyOf": []any{o, object{"type": "array", "items": o}}}
}

// JSONSchema describes legacy templates in JSON Schema, 2020-12. It accepts what such a
// template can have, and no option that a component does not know.
func JSONSchema(all []Component) (map[string]any, error) {
	all, err := documented(all, Builder, Provisioner, PostProcessor)
	if err != nil {
		return nil, err
	}
	pp := object{"anyOf": []any{object{"type": "string", "enum": namesOf(all, PostProcessor)}, ref(PostProcessor)}}
	root := object{
		"description": textOrNull, "min_packer_version": textOrNull,
		"variables":                 object{"type": []string{"object", "null"}, "additionalProperties": textOrNull},
		"sensitive-variables":       object{"type": []string{"array", "null"}, "items": text},
		"builders":                  object{"type": "array", "minItems": 1, "items": ref(Builder)},
		"provisioners":              object{"type": []string{"array", "null"}, "items": ref(Provisioner)},
		"error-cleanup-provisioner": object{"anyOf": []any{object{"type": "null"}, ref(Provisioner)}},
		"post-processors":           object{"type": []string{"array", "null"}, "items": orList(pp)},
		"push":                      true, "comments": true,
	}
	return object{
		"$schema": draft, "title": "Packer template (legacy JSON)",
		"type": "object", "required": []string{"builders"}, "properties": root,
		"patternProperties": object{"^_": text}, "additionalProperties": false,
		"$defs": object{
			Builder: legacy(all, Builder, object{"name": text}),
			Provisioner: legacy(all, Provisioner, object{"override": object{"type": "object",
				"additionalProperties": object{"type": "object"}}}),
			PostProcessor: legacy(all, PostProcessor, nil),
		},
	}, nil
}

func namesOf(all []Component, kind string) []string {
	var names []string
	for _, c := range all {
		if c.Kind == kind {
			names = append(names, c.Name)
		}
	}
	return names
}

// legacy is the schema of an object whose type says which options it has. More is what
// else it can have.
func legacy(all []Component, kind string, more object) object {
	typ := object{"type": "string", "examples": namesOf(all, kind)}
	var variants []any
	for _, c := range all {
		if c.Kind != kind {
			continue
		}
		props := weak.fields(c.Block.Fields)
		for name, p := range weak.around(c.Around) {
			props[name] = p
		}
		for name, p := range more {
			props[name] = p
		}
		props["type"] = typ
		then := object{"properties": props, "additionalProperties": false,
			"patternProperties": object{"^packer_": true, anyCase(c.Block): true}}
		variants = append(variants, object{
			"if":   object{"properties": object{"type": object{"const": c.Name}}, "required": []string{"type"}},
			"then": then})
	}
	o := object{"type": "object", "required": []string{"type"}, "properties": object{"type": typ}}
	if len(variants) > 0 {
		o["allOf"] = variants
	}
	return o
}

// anyCase is a pattern for the names of options that are not wholly in lower case: legacy
// templates have them in any.
func anyCase(b *schema.Block) string {
	var names []string
	for _, f := range b.Fields {
		if f.Refused != "" {
			continue
		}
		for _, name := range append([]string{f.Name}, f.Was...) {
			pattern := ""
			for _, r := range name {
				if unicode.IsLower(r) {
					pattern += "[" + string(r) + string(unicode.ToUpper(r)) + "]"
				} else {
					pattern += regexp.QuoteMeta(string(r))
				}
			}
			names = append(names, pattern)
		}
	}
	return "^(" + strings.Join(names, "|") + ")$"
}

// dialect is how a language writes the values of options.
type dialect struct {
	text, number, flag, time []string // types of JSON
	expressions              bool     // any value may be given as an expression in a string
	blocks                   bool     // options of blocks are in objects, or in lists of them
}

// weak is legacy JSON: texts for numbers, one value for a list, and the like.
var weak = dialect{
	text:   []string{"string", "number", "boolean", "null"},
	number: []string{"number", "string", "boolean", "null"},
	flag:   []string{"boolean", "string", "number", "null"},
	time:   []string{"string", "number", "null"},
}

// strict is HCL2 in JSON.
var strict = dialect{
	text:        []string{"string", "number", "boolean", "null"},
	number:      []string{"number", "string", "null"},
	flag:        []string{"boolean", "string", "null"},
	time:        []string{"string", "null"},
	expressions: true, blocks: true,
}

// fields are the schemas of options, by present and earlier names.
func (d dialect) fields(all []*schema.Field) object {
	props := object{}
	for _, f := range all {
		p := d.typed(&f.Type)
		about := oneLine(f.Doc)
		if f.Refused != "" {
			p, about = object{"not": object{}}, "Refused: "+f.Refused+"."
		}
		if about != "" {
			p["description"] = about
		}
		if len(f.OneOf) > 0 {
			p["examples"] = f.OneOf
		}
		if f.HasDefault {
			p["default"] = jsonDefault(f)
		}
		for _, name := range append([]string{f.Name}, f.Was...) {
			props[name] = p
		}
	}
	return props
}

// around are the schemas of what stands around a component. These are read strictly in
// both languages.
func (d dialect) around(all []*schema.Field) object {
	props := object{}
	for _, f := range all {
		if !d.expressions && strings.HasSuffix(f.Doc, "In HCL2 only.") {
			continue
		}
		p := d.typed(&f.Type)
		switch {
		case d.expressions:
		case f.Kind == schema.Bool:
			p = object{"type": []string{"boolean", "null"}}
		case f.Kind == schema.List:
			p = object{"type": []string{"array", "string", "null"}, "items": text}
		}
		p["description"] = oneLine(f.Doc)
		props[f.Name] = p
	}
	return props
}

// typed is the schema of a type.
func (d dialect) typed(t *schema.Type) object {
	switch t.Kind {
	case schema.Number, schema.Integer:
		return object{"type": d.number}
	case schema.Bool:
		return object{"type": d.flag}
	case schema.Duration:
		return object{"type": d.time}
	case schema.List:
		// One value stands for a list of one; in HCL2 a text is an expression.
		types := []string{"array", "string", "null"}
		if !d.expressions {
			types = append(types, "number", "boolean")
		}
		return object{"type": types, "items": d.item(t.Item)}
	case schema.Map:
		types := []string{"object", "null", "string"}
		if !d.expressions {
			types = []string{"object", "null", "array"}
		}
		return object{"type": types}
	case schema.Single, schema.Repeated:
		inner := object{"type": "object", "properties": d.fields(t.Block.Fields), "additionalProperties": false}
		if d.blocks {
			inner["patternProperties"] = object{"^//$": true}
			inner["properties"].(object)["dynamic"] = true
		} else {
			inner["patternProperties"] = object{anyCase(t.Block): true}
		}
		p := orList(inner)
		if !d.blocks {
			p["anyOf"] = append(p["anyOf"].([]any), object{"type": "null"})
		}
		return p
	}
	return object{"type": d.text}
}

// item is the schema of an element of a list.
func (d dialect) item(t *schema.Type) object {
	p := d.typed(t)
	if types, ok := p["type"].([]string); ok {
		p["type"] = slices.DeleteFunc(slices.Clone(types), func(s string) bool { return s == "null" })
	}
	return p
}

func jsonDefault(f *schema.Field) any {
	switch f.Kind {
	case schema.Number, schema.Integer:
		if n, err := strconv.ParseFloat(f.Default, 64); err == nil {
			return n
		}
	case schema.Bool:
		return f.Default == "true"
	case schema.List:
		return strings.Split(f.Default, "|")
	}
	return f.Default
}
