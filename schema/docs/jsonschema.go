package docs

import (
	"strconv"
	"strings"

	"kiln/schema"
)

type object = map[string]any

// JSONSchema describes legacy templates in JSON Schema, 2020-12.
func JSONSchema(all []Component) (map[string]any, error) {
	all, err := documented(all, Builder, Provisioner, PostProcessor)
	if err != nil {
		return nil, err
	}
	text, flag := object{"type": "string"}, object{"type": "boolean"}
	textOrNull := object{"type": []string{"string", "null"}}
	names := object{"type": "array", "items": text}
	ref := func(kind string) object { return object{"$ref": "#/$defs/" + kind} }
	around := object{
		"only": names, "except": names, "override": object{"type": "object"}, "pause_before": text, "timeout": text,
		"max_retries": object{"type": []string{"string", "number"}}, "cache": flag, "cache_max_age": text,
	}
	pp := object{
		"anyOf": []any{object{"type": "string", "enum": namesOf(all, PostProcessor)}, ref(PostProcessor)},
	}
	chain := object{"anyOf": []any{pp, object{"type": "array", "items": pp}}}
	return object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Packer template (legacy JSON)",
		"type": "object", "required": []string{"builders"},
		"patternProperties": object{"^_": text}, "additionalProperties": false,
		"properties": object{
			"description": text, "min_packer_version": text,
			"variables":                 object{"type": "object", "additionalProperties": textOrNull},
			"sensitive-variables":       names,
			"builders":                  object{"type": "array", "minItems": 1, "items": ref(Builder)},
			"provisioners":              object{"type": "array", "items": ref(Provisioner)},
			"error-cleanup-provisioner": ref(Provisioner),
			"post-processors":           object{"type": "array", "items": chain},
			"push":                      object{"type": "object"}, "comments": object{"type": "array"},
		},
		"$defs": object{
			Builder:     component(all, Builder, object{"name": text}),
			Provisioner: component(all, Provisioner, around),
			PostProcessor: component(all, PostProcessor,
				object{"name": text, "only": names, "except": names, "keep_input_artifact": flag}),
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

// component is the schema of an object whose type says which options it has.
func component(all []Component, kind string, around object) object {
	props := object{"type": object{"type": "string", "examples": namesOf(all, kind)}}
	for k, v := range around {
		props[k] = v
	}
	var variants []any
	for _, c := range all {
		if c.Kind == kind {
			variants = append(variants, object{
				"if":   object{"properties": object{"type": object{"const": c.Name}}, "required": []string{"type"}},
				"then": object{"properties": properties(c.Block)}})
		}
	}
	return object{"type": "object", "required": []string{"type"}, "properties": props, "allOf": variants}
}

// properties of a component: the legacy format also takes texts for numbers and
// the like.
func properties(b *schema.Block) object {
	props := object{}
	for _, f := range b.Fields {
		p := object{}
		if text := oneLine(f.Doc); text != "" {
			p["description"] = text
		}
		switch f.Kind {
		case schema.Number, schema.Integer:
			p["type"] = []string{"number", "string"}
		case schema.Bool:
			p["type"] = []string{"boolean", "string"}
		case schema.List:
			p["type"] = []string{"array", "string"}
		case schema.Map:
			p["type"] = "object"
		case schema.Single:
			p["type"], p["properties"] = "object", properties(f.Block)
		case schema.Repeated:
			p["type"], p["items"] = "array", object{"type": "object", "properties": properties(f.Block)}
		default:
			p["type"] = []string{"string", "number", "boolean"}
		}
		if len(f.OneOf) > 0 {
			p["examples"] = f.OneOf
		}
		if f.HasDefault {
			p["default"] = jsonDefault(f)
		}
		props[f.Name] = p
	}
	return props
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
