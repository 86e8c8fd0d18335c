package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"runtime/debug"
	"strings"

	"kiln/internal/engine"
	"kiln/internal/template"
)

type validateFlags struct {
	templateFlags
	syntaxOnly   bool
	evaluateData bool
	noWarn       bool
	recursive    bool
}

const validText = "The configuration is valid."

func (f *validateFlags) define(fs *flag.FlagSet) {
	f.templateFlags.define(fs)
	fs.BoolVar(&f.syntaxOnly, "syntax-only", false, "check the template's own language only, no components")
	fs.BoolVar(&f.evaluateData, "evaluate-datasources", false, "run the data sources of an HCL2 template")
	fs.BoolVar(&f.noWarn, "no-warn-undeclared-var", false,
		"no warning for names in var-files that no variable declares")
	fs.BoolVar(&f.recursive, "recursive", false, "validate every template below a folder, each for itself")
}

var validateCommand = &command{
	name: "validate", usage: "[options] TEMPLATE", synopsis: "check that a template is valid",
	about: "Loads a template and checks every component of it, without making anything.\n" +
		"TEMPLATE is a file, a folder of .pkr.hcl files, or - for JSON on standard input.",
	run: func(ctx context.Context, p *program, c *call) error {
		var f validateFlags
		if err := c.parse(p, f.define, 1, 1); err != nil {
			return err
		}
		ctx, stop := interruptible(ctx)
		defer stop()
		if f.recursive {
			// Many small heaps come and go: collecting less often halves the time.
			debug.SetGCPercent(400)
			return p.validateAll(ctx, &f, c.args[0])
		}
		return p.validate(ctx, &f, c.args[0])
	},
}

// validate checks one template.
func (p *program) validate(ctx context.Context, f *validateFlags, path string) error {
	o := f.options(ctx, p, path)
	o.WarnUndeclared = !f.noWarn
	o.EvaluateData, o.Thorough = f.evaluateData, !f.syntaxOnly
	t, err := p.load(ctx, o)
	if err != nil {
		return err
	}
	if f.syntaxOnly {
		p.say("Syntax-only check passed. Everything looks okay.")
		return nil
	}
	// What else is wrong is shown beside a plugin that is missing.
	missing := p.havePlugins(ctx, t, f.ignoreDev)
	if missing != nil && !errors.Is(missing, errReported) {
		return missing
	}
	builds, diags := t.Builds(ctx)
	_, more := engine.NewPlan(builds)
	diags = append(diags, more...)
	if err := errors.Join(missing, p.show(diags)); err != nil {
		return errReported
	}
	p.say(validText)
	if !p.asPacker() && !p.machine {
		p.tellUnknown(builds)
	}
	return nil
}

// tellUnknown lists what could not be checked because it is known only while a
// build runs, each place once with the builds that it is in.
func (p *program) tellUnknown(builds []*template.Build) {
	var lines []string
	in := map[string][]string{}
	for _, b := range builds {
		for _, c := range b.Components() {
			for _, u := range c.Unknown() {
				line := fmt.Sprintf("%s:%d: %s of %s %s", u.File, u.Line, u.Option, c.Kind, c.Type)
				if len(u.From) > 0 {
					line += ", from " + strings.Join(u.From, ", ")
				}
				if in[line] == nil {
					lines = append(lines, line)
				}
				if names := in[line]; len(names) == 0 || names[len(names)-1] != b.Name {
					in[line] = append(names, b.Name)
				}
			}
		}
	}
	if len(lines) == 0 {
		return
	}
	p.say("Known only while a build runs:")
	for _, line := range lines {
		p.say("  %s (%s)", line, shortList(in[line]))
	}
}

// shortList names the first few of many.
func shortList(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
