package main

import (
	"context"
	"encoding/json"
	"flag"

	"kiln/internal/template"
	"kiln/schema/docs"
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
		var doc any
		var err error
		if f.json {
			doc, err = docs.JSONSchema(described())
		} else {
			doc, err = editorSchema()
		}
		if err != nil {
			p.fail("Error: %v", err)
			return exitFailed
		}
		return p.json(doc)
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

func editorSchema() (*docs.Editor, error) {
	language := docs.Language{Kiln: kilnVersion, Packer: packerVersion,
		Blocks: template.Blocks(), Functions: template.Functions(), Engine: template.EngineFunctions()}
	return docs.EditorSchema(language, described())
}

type object = map[string]any
