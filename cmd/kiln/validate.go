package main

import (
	"context"
	"flag"

	"kiln/internal/engine"
)

type validateFlags struct {
	templateFlags
	syntaxOnly   bool
	evaluateData bool
	noWarn       bool
}

func (f *validateFlags) define(fs *flag.FlagSet) {
	f.templateFlags.define(fs)
	fs.BoolVar(&f.syntaxOnly, "syntax-only", false, "check the template's own language only, no components")
	fs.BoolVar(&f.evaluateData, "evaluate-datasources", false, "run the data sources of an HCL2 template")
	fs.BoolVar(&f.noWarn, "no-warn-undeclared-var", false, "no warning for names in var-files that no variable declares")
}

var validateCommand = &command{
	name: "validate", usage: "[options] TEMPLATE", synopsis: "check that a template is valid",
	about: "Loads a template and checks every component of it, without making anything.\nTEMPLATE is a file, a folder of .pkr.hcl files, or - for JSON on standard input.",
	run: func(ctx context.Context, p *program, c *call) int {
		var f validateFlags
		if !c.parse(p, f.define, 1, 1) {
			return exitFailed
		}
		ctx, stop := interruptible(ctx)
		defer stop()
		o := f.options(p, c.args[0])
		o.WarnUndeclared = !f.noWarn
		o.EvaluateData = f.evaluateData
		t, ok := p.load(ctx, o)
		if !ok {
			return exitFailed
		}
		if f.syntaxOnly {
			p.say("Syntax-only check passed. Everything looks okay.")
			return exitOK
		}
		if !p.havePlugins(ctx, t) {
			return exitFailed
		}
		builds, diags := t.Builds(ctx)
		_, more := engine.NewPlan(builds)
		diags = append(diags, more...)
		p.show(diags)
		if diags.HasErrors() {
			return exitFailed
		}
		p.say("The configuration is valid.")
		return exitOK
	},
}
