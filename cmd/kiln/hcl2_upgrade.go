package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"

	"kiln/internal/template"
	"kiln/internal/template/upgrade"
	"kiln/schema"
)

type upgradeFlags struct {
	templateFlags
	output      string
	annotations bool
}

func (f *upgradeFlags) define(fs *flag.FlagSet) {
	f.templateFlags.define(fs)
	fs.StringVar(&f.output, "output-file", "", "write to `FILE`; default: the template's name with .pkr.hcl behind it")
	fs.BoolVar(&f.annotations, "with-annotations", false, "explain each kind of block in a comment")
}

var upgradeCommand = &command{
	name: "hcl2_upgrade", usage: "[options] TEMPLATE", synopsis: "write a JSON template as HCL2",
	about: "Converts a JSON template to HCL2 and writes it to a file of its own. The JSON file is\nnot changed.",
	run:   runUpgrade,
}

func runUpgrade(ctx context.Context, p *program, c *call) int {
	var f upgradeFlags
	if !c.parse(p, f.define, 1, 1) {
		return exitFailed
	}
	path := c.args[0]
	if template.IsHCL(path) {
		p.fail("Error: %s is HCL2 already.", path)
		return exitFailed
	}
	text, ok := p.readTemplate(path)
	if !ok {
		return exitFailed
	}
	output := f.output
	if output == "" {
		output = strings.TrimSuffix(path, "-") + ".pkr.hcl"
		if path == "-" {
			output = "stdin.pkr.hcl"
		}
	}
	o := f.options(ctx, p, "-")
	o.Stdin = bytes.NewReader(text)
	o.Name = path
	t, ok := p.load(ctx, o)
	if !ok {
		return exitFailed
	}
	// What is wrong with names and versions is told, and converted all the same.
	p.show(t.Validate())
	result, err := upgrade.Convert(text, upgrade.Options{Annotations: f.annotations, Struct: configuration})
	if err != nil {
		p.fail("Error: %s: %v", path, err)
		return exitFailed
	}
	if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
		p.fail("Error: %v", err)
		return exitFailed
	}
	if err := os.WriteFile(output, result.Text, 0o644); err != nil {
		p.fail("Error: %v", err)
		return exitFailed
	}
	code := exitOK
	for _, skipped := range result.Skipped {
		p.fail("%s", skipped)
		code = exitFailed
	}
	p.say("Successfully created %s. Exit %d", output, code)
	return code
}

// readTemplate reads a file, or standard input for "-".
func (p *program) readTemplate(path string) ([]byte, bool) {
	var text []byte
	var err error
	if path == "-" {
		text, err = io.ReadAll(p.in)
	} else {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		p.fail("Error: cannot read the template: %v", err)
		return nil, false
	}
	return text, true
}

// configuration is the schema of a component that is built in; nil: it is not.
func configuration(kind, typ string) *schema.Block {
	for _, d := range described() {
		if d.Kind == kind && d.Name == typ {
			return d.Block
		}
	}
	return nil
}
