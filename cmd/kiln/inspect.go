package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"sort"
	"strings"

	"kiln"
	"kiln/internal/template"
)

type inspectFlags struct {
	templateFlags
	output choice
}

func (f *inspectFlags) define(fs *flag.FlagSet) {
	f.templateFlags.define(fs)
	f.output = choice{"text", []string{"text", "json"}}
	fs.Var(&f.output, "output", "as `FORMAT`: text or json")
}

var inspectCommand = &command{
	name: "inspect", usage: "[options] TEMPLATE", synopsis: "show the parts of a template",
	about: "Shows variables, builds and components of a template. What cannot be resolved,\n" +
		"such as a variable without a value, is shown as unknown.",
	run: func(ctx context.Context, p *program, c *call) error {
		var f inspectFlags
		if err := c.parse(p, f.define, 0, 1); err != nil {
			return err
		}
		path := ""
		if len(c.args) > 0 {
			path = c.args[0]
		}
		o := f.options(ctx, p, path)
		o.EvaluateData = true
		ctx, stop := interruptible(ctx)
		defer stop()
		t, err := p.load(ctx, o)
		if err != nil {
			return err
		}
		// Resolving fills in values; what it cannot resolve is shown as such.
		_, _ = t.Builds(ctx)
		switch {
		case f.output.value == "json":
			return p.inspectDocument(t)
		case t.Format == template.HCL2:
			p.say("%s", inspectHCL(t))
		case p.machine:
			p.inspectRecords(t)
		default:
			p.say("%s", inspectJSON(t))
		}
		return nil
	},
}

// inspectHCL is the layout of docs/compat/cli.md 5 for HCL2.
func inspectHCL(t *template.Template) string {
	var b strings.Builder
	b.WriteString("Packer Inspect: HCL2 mode\n\n" + t.Dump())
	b.WriteString("\n> builds:\n")
	for i, blk := range t.Blocks {
		name := blk.Name
		if name == "" {
			name = fmt.Sprintf("<unnamed build %d>", i)
		}
		fmt.Fprintf(&b, "\n  > %s:\n", name)
		if blk.Description != "" {
			fmt.Fprintf(&b, "\n  > Description: %s\n", blk.Description)
		}
		b.WriteString("\n    sources:\n\n")
		list(&b, "      ", blk.Sources, "<no source>")
		b.WriteString("\n    provisioners:\n\n")
		list(&b, "      ", blk.Provisioners, "<no provisioner>")
		b.WriteString("\n    post-processors:\n\n")
		if len(blk.Chains) == 0 {
			b.WriteString("      <no post-processor>\n")
		}
		for n, chain := range blk.Chains {
			fmt.Fprintf(&b, "      %d:\n", n)
			list(&b, "        ", chain, "")
			if n+1 < len(blk.Chains) {
				b.WriteString("\n")
			}
		}
	}
	return b.String()
}

func list(b *strings.Builder, indent string, names []template.Named, none string) {
	if len(names) == 0 && none != "" {
		fmt.Fprintf(b, "%s%s\n", indent, none)
	}
	for _, n := range names {
		text := n.Type
		if n.Name != "" {
			text += "." + n.Name
		}
		fmt.Fprintf(b, "%s%s\n", indent, text)
	}
}

// inspectJSON is the layout of docs/compat/cli.md 5 for legacy JSON.
func inspectJSON(t *template.Template) string {
	var b strings.Builder
	b.WriteString("Packer Inspect: JSON mode\n")
	if t.Description != "" {
		fmt.Fprintf(&b, "Description:\n\n%s\n\n", t.Description)
	}
	width := 0
	var required, optional []template.Variable
	for _, v := range t.Variables {
		width = max(width, len(v.Name))
		if v.Required {
			required = append(required, v)
		} else {
			optional = append(optional, v)
		}
	}
	if len(t.Variables) == 0 {
		b.WriteString("Variables:\n\n  <No variables>\n\n")
	}
	if len(required) > 0 {
		b.WriteString("Required variables:\n\n")
		for _, v := range required {
			fmt.Fprintf(&b, "  %s\n", v.Name)
		}
		b.WriteString("\n")
	}
	if len(optional) > 0 {
		sort.Slice(optional, func(i, j int) bool { return optional[i].Name < optional[j].Name })
		b.WriteString("Optional variables and their defaults:\n\n")
		for _, v := range optional {
			fmt.Fprintf(&b, "  %-*s = %s\n", width, v.Name, shown(v))
		}
		b.WriteString("\n")
	}
	blk := template.Block{}
	if len(t.Blocks) > 0 {
		blk = t.Blocks[0]
	}
	inspectBuilders(&b, blk)
	b.WriteString("\nNote: If your build names contain user variables or template\n" +
		"functions such as 'timestamp', these are processed at build time,\n" +
		"and therefore only show in their raw form here.")
	return b.String()
}

func shown(v template.Variable) string {
	if v.Sensitive {
		return "<sensitive>"
	}
	return v.Default
}

func inspectBuilders(b *strings.Builder, blk template.Block) {
	b.WriteString("Builders:\n\n")
	width := 0
	for _, s := range blk.Sources {
		width = max(width, len(s.Name))
	}
	if len(blk.Sources) == 0 {
		b.WriteString("  <No builders>\n")
	}
	for _, s := range blk.Sources {
		fmt.Fprintf(b, "  %-*s", width, s.Name)
		if s.Name != s.Type {
			fmt.Fprintf(b, " (%s)", s.Type)
		}
		b.WriteString("\n")
	}
	b.WriteString("\nProvisioners:\n\n")
	if len(blk.Provisioners) == 0 {
		b.WriteString("  <No provisioners>\n")
	}
	for _, pr := range blk.Provisioners {
		fmt.Fprintf(b, "  %s\n", pr.Type)
	}
}

// inspectRecords is the machine-readable form, of legacy JSON only.
func (p *program) inspectRecords(t *template.Template) {
	for _, v := range t.Variables {
		required := "0"
		if v.Required {
			required = "1"
		}
		p.record("", "template-variable", v.Name, shown(v), required)
	}
	for _, blk := range t.Blocks {
		for _, s := range blk.Sources {
			p.record("", "template-builder", s.Name, s.Type)
		}
		for _, pr := range blk.Provisioners {
			p.record("", "template-provisioner", pr.Type)
		}
	}
}

// inspectVersion counts up when a key of inspect's JSON changes its meaning.
const inspectVersion = 1

// inspectDocument is the JSON form, the same for both languages.
func (p *program) inspectDocument(t *template.Template) error {
	variables, locals, builds, plugins := []object{}, []object{}, []object{}, []object{}
	for _, v := range t.Variables {
		o := object{"name": v.Name, "required": v.Required, "sensitive": v.Sensitive}
		putValue(o, v.JSON, v.Sensitive)
		if v.Description != "" {
			o["description"] = v.Description
		}
		variables = append(variables, o)
	}
	for _, l := range t.Locals {
		o := object{"name": l.Name, "sensitive": l.Sensitive}
		putValue(o, l.JSON, l.Sensitive)
		locals = append(locals, o)
	}
	for _, b := range t.Blocks {
		chains := []any{}
		for _, c := range b.Chains {
			chains = append(chains, named(c))
		}
		o := object{"name": b.Name, "description": b.Description, "sources": named(b.Sources),
			"provisioners": named(b.Provisioners), "post_processors": chains}
		if b.Cleanup != nil {
			o["error_cleanup_provisioner"] = named([]template.Named{*b.Cleanup})[0]
		}
		builds = append(builds, o)
	}
	for _, r := range t.Plugins {
		plugins = append(plugins, object{"accessor": r.Accessor, "source": r.Source, "version": r.Version})
	}
	return p.json(object{"version": inspectVersion, "format": t.Format, "description": t.Description,
		"variables": variables, "locals": locals, "builds": builds, "required_plugins": plugins})
}

// putValue adds a value, or says that it is not known.
func putValue(o object, text []byte, sensitive bool) {
	var v any
	switch {
	case text == nil:
		o["unknown"] = true
	case sensitive:
		o["value"] = kiln.Masked
	case json.Unmarshal(text, &v) == nil:
		o["value"] = v
	}
}

func named(list []template.Named) []object {
	all := []object{}
	for _, n := range list {
		all = append(all, object{"type": n.Type, "name": n.Name})
	}
	return all
}
