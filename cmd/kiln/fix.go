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
	about: "Prints a JSON template with options that were renamed or dropped in their present\nform. The file is not changed. What is rewritten:\n\n" + fixerList(),
	run: func(ctx context.Context, p *program, c *call) int {
		var f fixFlags
		if !c.parse(p, f.define, 1, 1) {
			return exitFailed
		}
		path := c.args[0]
		if info, err := os.Stat(path); f.config.value == "hcl2" || template.IsHCL(path) || err == nil && info.IsDir() {
			p.fail("packer fix only works with JSON files for now.")
			return exitFailed
		}
		text, err := os.ReadFile(path)
		if err != nil {
			p.fail("Error opening template: %v", err)
			return exitFailed
		}
		fixed, err := fix.Fix(text)
		if err != nil {
			p.fail("%s: %v", path, err)
			return exitFailed
		}
		p.say("%s", fixed)
		if f.validate && !p.fixedIsValid(ctx, f, fixed) {
			return exitFailed
		}
		return exitOK
	},
}

func fixerList() string {
	var b strings.Builder
	for _, f := range fix.Fixers() {
		b.WriteString("  " + f.Name + strings.Repeat(" ", max(1, 28-len(f.Name))) + f.About + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// fixedIsValid reads the result as a template, without its components.
func (p *program) fixedIsValid(ctx context.Context, f fixFlags, fixed []byte) bool {
	o := f.options(ctx, p, "-")
	o.Stdin = bytes.NewReader(fixed)
	t, diags := load.Template(ctx, o)
	why := "fails to parse"
	if !diags.HasErrors() {
		why, diags = "failed to validate", t.Validate()
	}
	if diags.HasErrors() {
		p.fail("Error! Fixed template %s:", why)
		p.show(diags)
		p.fail("This comes from the template that was given: mend it and run fix again.")
		return false
	}
	return true
}
