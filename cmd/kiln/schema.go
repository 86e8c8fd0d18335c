package main

import (
	"context"
	"flag"

	"kiln/internal/template/hcl2"
	"kiln/schema/docs"
)

type schemaFlags struct{ json bool }

func (f *schemaFlags) define(fs *flag.FlagSet) {
	fs.BoolVar(
		&f.json,
		"json-schema",
		false,
		"a JSON Schema for legacy JSON templates, which editors know how to use",
	)
}

var schemaCommand = &command{
	name: "schema", usage: "[options]", synopsis: "print the schema of templates, for editors",
	about: "Prints every block, component, option and function that a template can have as JSON.",
	run: func(_ context.Context, p *program, c *call) error {
		var f schemaFlags
		if err := c.parse(p, f.define, 0, 0); err != nil {
			return err
		}
		var doc any
		var err error
		if f.json {
			doc, err = docs.JSONSchema(described())
		} else {
			doc, err = editorSchema()
		}
		if err != nil {
			return err
		}
		return p.json(doc)
	},
}

func editorSchema() (*docs.Editor, error) {
	language := docs.Language{Kiln: kilnVersion, Packer: packerVersion,
		Blocks: hcl2.Blocks(), Functions: hcl2.Functions(), Engine: hcl2.EngineFunctions()}
	return docs.EditorSchema(language, described())
}
