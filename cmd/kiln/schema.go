package main

import (
	"context"
	"errors"
	"flag"

	"kiln/internal/template/hcl2"
	"kiln/schema/docs"
)

type schemaFlags struct{ json, hcl bool }

func (f *schemaFlags) define(fs *flag.FlagSet) {
	fs.BoolVar(
		&f.json,
		"json-schema",
		false,
		"a JSON Schema for legacy JSON templates, which editors know how to use",
	)
	fs.BoolVar(&f.hcl, "pkr-json-schema", false, "a JSON Schema for HCL2 templates in JSON, .pkr.json")
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
		switch {
		case f.json && f.hcl:
			return errors.New("-json-schema and -pkr-json-schema are two documents: give one of them")
		case f.json:
			doc, err = docs.JSONSchema(described())
		case f.hcl:
			doc, err = docs.HCLSchema(language(), described())
		default:
			doc, err = editorSchema()
		}
		if err != nil {
			return err
		}
		return p.json(doc)
	},
}

func editorSchema() (*docs.Editor, error) { return docs.EditorSchema(language(), described()) }

// language is what templates are made of beside components.
func language() docs.Language {
	return docs.Language{Kiln: kilnVersion, Packer: packerVersion,
		Blocks: hcl2.Blocks(), Functions: hcl2.Functions(), Engine: hcl2.EngineFunctions()}
}
