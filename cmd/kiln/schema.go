package main

import (
	"context"
	"encoding/json"
	"flag"
	"strconv"
	"strings"

	"kiln/internal/template"
	"kiln/schema"
)

type schemaFlags struct{ json bool }

func (f *schemaFlags) define(fs *flag.FlagSet) {
	fs.BoolVar(&f.json, "json-schema", false, "a JSON Schema for legacy JSON templates, which editors know how to use")
}

var schemaCommand = &command{
	name: "schema", usage: "[options]", synopsis: "print the schema of templates, for editors",
	about: "Prints every block, component, option and function that a template can have as JSON.",
	run: func(_ context.Context, p *program, c *call) int {
		var f schemaFlags
		if !c.parse(p, f.define, 0, 0) {
			return exitFailed
		}
		if f.json {
			return p.json(jsonSchema())
		}
		return p.json(editorSchema())
	},
}

// json prints a value as JSON.
func (p *program) json(v any) int {
	enc := json.NewEncoder(p.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		p.fail("Error: %v", err)
		return exitFailed
	}
	return exitOK
}

// schemaVersion counts up when a key of the schema's form changes its meaning.
const schemaVersion = 1

type schemaDoc struct {
	Version    int                                   `json:"version"`
	Kiln       string                                `json:"kiln"`
	Packer     string                                `json:"packer"`
	Blocks     []template.BlockSchema                `json:"blocks"`
	Components map[string]map[string]componentSchema `json:"components"` // by kind, by type
	Functions  []string                              `json:"functions"`
	Engine     []string                              `json:"engine_functions"`
}

type componentSchema struct {
	Description string         `json:"description"`
	Options     []optionSchema `json:"options"`
}

type optionSchema struct {
	Name        string         `json:"name"`
	Type        string         `json:"type"`
	Block       bool           `json:"block,omitempty"` // a nested block in HCL2
	Description string         `json:"description,omitempty"`
	Required    bool           `json:"required,omitempty"`
	Default     string         `json:"default,omitempty"`
	OneOf       []string       `json:"one_of,omitempty"`
	Sensitive   bool           `json:"sensitive,omitempty"`
	Earlier     []string       `json:"earlier_names,omitempty"`
	Refused     string         `json:"refused,omitempty"` // why it cannot be set
	Options     []optionSchema `json:"options,omitempty"` // of a block
}

func editorSchema() schemaDoc {
	doc := schemaDoc{Version: schemaVersion, Kiln: kilnVersion, Packer: packerVersion, Blocks: template.Blocks(), Components: map[string]map[string]componentSchema{},
		Functions: template.Functions(), Engine: template.EngineFunctions()}
	for _, d := range described() {
		if d.kind == "communicator" {
			continue // their options are among those of the builders
		}
		if doc.Components[d.kind] == nil {
			doc.Components[d.kind] = map[string]componentSchema{}
		}
		comments := d.comments()
		doc.Components[d.kind][d.name] = componentSchema{d.synopsis(), options(schema.Of(d.component), comments, "")}
	}
	return doc
}

func options(st *schema.Block, c schema.Comments, prefix string) []optionSchema {
	var all []optionSchema
	for _, f := range st.Fields {
		o := optionSchema{Name: f.Name, Type: f.TypeName(), Block: f.Block != nil, Description: strings.Join(strings.Fields(c.Fields[prefix+f.Name]), " "),
			Required: f.Required, Default: f.Default, OneOf: f.OneOf, Sensitive: f.Sensitive, Earlier: f.Was, Refused: f.Refused}
		if f.Block != nil {
			o.Options = options(f.Block, c, prefix+f.Name+".")
		}
		all = append(all, o)
	}
	return all
}

type object = map[string]any

// jsonSchema describes legacy templates in JSON Schema, 2020-12.
func jsonSchema() object {
	builders, steps, pps := variants("builder"), variants("provisioner"), variants("post-processor")
	names := object{"type": "array", "items": object{"type": "string"}}
	around := object{"only": names, "except": names, "override": object{"type": "object"}, "pause_before": object{"type": "string"}, "timeout": object{"type": "string"},
		"max_retries": object{"type": []string{"string", "number"}}, "cache": object{"type": "boolean"}}
	pp := object{"anyOf": []any{object{"type": "string", "enum": componentNames("post-processor")}, object{"$ref": "#/$defs/post-processor"}}}
	return object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Packer template (legacy JSON)", "type": "object", "required": []string{"builders"},
		"patternProperties": object{"^_": object{"type": "string"}}, "additionalProperties": false,
		"properties": object{
			"description": object{"type": "string"}, "min_packer_version": object{"type": "string"},
			"variables":           object{"type": "object", "additionalProperties": object{"type": []string{"string", "null"}}},
			"sensitive-variables": names, "builders": object{"type": "array", "minItems": 1, "items": object{"$ref": "#/$defs/builder"}},
			"provisioners":              object{"type": "array", "items": object{"$ref": "#/$defs/provisioner"}},
			"error-cleanup-provisioner": object{"$ref": "#/$defs/provisioner"},
			"post-processors":           object{"type": "array", "items": object{"anyOf": []any{pp, object{"type": "array", "items": pp}}}},
			"push":                      object{"type": "object"}, "comments": object{"type": "array"},
		},
		"$defs": object{
			"builder":        component("builder", builders, object{"name": object{"type": "string"}}),
			"provisioner":    component("provisioner", steps, around),
			"post-processor": component("post-processor", pps, object{"name": object{"type": "string"}, "only": names, "except": names, "keep_input_artifact": object{"type": "boolean"}}),
		},
	}
}

func componentNames(kind string) []string {
	var names []string
	for _, d := range described() {
		if d.kind == kind {
			names = append(names, d.name)
		}
	}
	return names
}

// component is the schema of an object whose type says which options it has.
func component(kind string, variants []any, around object) object {
	props := object{"type": object{"type": "string", "examples": componentNames(kind)}}
	for k, v := range around {
		props[k] = v
	}
	return object{"type": "object", "required": []string{"type"}, "properties": props, "allOf": variants}
}

func variants(kind string) []any {
	var all []any
	for _, d := range described() {
		if d.kind == kind {
			all = append(all, object{"if": object{"properties": object{"type": object{"const": d.name}}, "required": []string{"type"}},
				"then": object{"properties": properties(schema.Of(d.component), d.comments(), "")}})
		}
	}
	return all
}

// properties of a component: the legacy format also takes texts for numbers and
// the like.
func properties(st *schema.Block, c schema.Comments, prefix string) object {
	props := object{}
	for _, f := range st.Fields {
		p := object{}
		if text := strings.Join(strings.Fields(c.Fields[prefix+f.Name]), " "); text != "" {
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
			p["type"], p["properties"] = "object", properties(f.Block, c, prefix+f.Name+".")
		case schema.Repeated:
			p["type"], p["items"] = "array", object{"type": "object", "properties": properties(f.Block, c, prefix+f.Name+".")}
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
