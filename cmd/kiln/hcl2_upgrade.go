package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"kiln"
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
	fs.StringVar(&f.output, "output-file", "",
		"write to `FILE`; default: the template's name with .pkr.hcl behind it")
	fs.BoolVar(&f.annotations, "with-annotations", false, "explain each kind of block in a comment")
}

var upgradeCommand = &command{
	name: "hcl2_upgrade", usage: "[options] TEMPLATE", synopsis: "write a JSON template as HCL2",
	about: "Converts a JSON template to HCL2 and writes it to a file of its own. The JSON file is\nnot changed.",
	run:   runUpgrade,
}

func runUpgrade(ctx context.Context, p *program, c *call) error {
	var f upgradeFlags
	if err := c.parse(p, f.define, 1, 1); err != nil {
		return err
	}
	path := c.args[0]
	if template.IsHCL(path) {
		return fmt.Errorf("%s is HCL2 already.", path)
	}
	text, err := p.readTemplate(path)
	if err != nil {
		return fmt.Errorf("cannot read the template: %w", err)
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
	t, err := p.load(ctx, o)
	if err != nil {
		return err
	}
	// What is wrong with names and versions is shown, and converted all the same.
	_ = p.show(t.Validate())
	result, err := upgrade.Convert(text, upgrade.Options{Annotations: f.annotations, Struct: configuration})
	if err != nil {
		return fmt.Errorf("%s: %v", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
		return err
	}
	j := p.owning(path)
	defer j.close(p)
	if err := kiln.WriteOwned(j, output, result.Text, 0o644); err != nil {
		return err
	}
	if len(result.Unknown) > 0 {
		p.fail("unknown builder type(s): %v", result.Unknown)
	}
	err = nil
	for _, skipped := range result.Skipped {
		p.report(wordedf("%s", skipped))
		err = errReported
	}
	p.say("Successfully created %s. Exit %d", output, exitCode(err))
	return err
}

// readTemplate reads a file, or standard input for "-".
func (p *program) readTemplate(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(p.in)
	}
	return os.ReadFile(path)
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
