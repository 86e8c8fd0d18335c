package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"strings"

	"kiln/internal/template"
	"kiln/internal/template/fix"
	"kiln/internal/template/load"
)

type fixFlags struct {
	templateFlags
	validate bool
}

func (f *fixFlags) define(fs *flag.FlagSet) {
	f.templateFlags.define(fs)
	fs.BoolVar(&f.validate, "validate", true, "check that the result is a template")
}

var fixCommand = &command{
	name: "fix", usage: "[options] TEMPLATE", synopsis: "rewrite outdated options of a JSON template",
	about: "Prints a JSON template with options that were renamed or dropped in their present\n" +
		"form. The file is not changed. What is rewritten:\n\n" + fixerList(),
	run: func(ctx context.Context, p *program, c *call) error {
		var f fixFlags
		if err := c.parse(p, f.define, 1, 1); err != nil {
			return err
		}
		path := c.args[0]
		info, err := os.Stat(path)
		folder := err == nil && info.IsDir()
		if f.config.value == "hcl2" || template.IsHCL(path) || folder {
			return wordedf("packer fix only works with JSON files for now.")
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return wordedf("Error opening template: %v", err)
		}
		fixed, err := fix.Fix(text)
		if err != nil {
			return wordedf("%s: %v", path, err)
		}
		p.say("%s", fixed)
		if f.validate {
			return p.validateFixed(ctx, f, fixed)
		}
		return nil
	},
}

func fixerList() string {
	var b strings.Builder
	for _, f := range fix.Fixers() {
		b.WriteString("  " + f.Name + strings.Repeat(" ", max(1, 28-len(f.Name))) + f.About + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// validateFixed reads the result as a template, without its components.
func (p *program) validateFixed(ctx context.Context, f fixFlags, fixed []byte) error {
	o := f.options(ctx, p, "-")
	o.Stdin = bytes.NewReader(fixed)
	t, diags := load.Template(ctx, o)
	why := "fails to parse"
	if !diags.HasErrors() {
		why, diags = "failed to validate", t.Validate()
	}
	if diags.HasErrors() {
		return worded(failed("Error! Fixed template %s:", why), diagnosed(diags),
			failed("This comes from the template that was given: mend it and run fix again."))
	}
	return nil
}
