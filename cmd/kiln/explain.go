package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"

	"kiln"
	"kiln/internal/template"
	"kiln/schema"
	"kiln/schema/docs"
)

type explainFlags struct{ markdown bool }

func (f *explainFlags) define(fs *flag.FlagSet) {
	fs.BoolVar(&f.markdown, "markdown", false, "write the page as it stands in docs/reference")
}

var explainCommand = &command{
	name: "explain", usage: "[options] [WORD]", synopsis: "show the options of a component, or a word of templates",
	about: "Shows what a builder, communicator, provisioner, post-processor or data source does and\n" +
		"each of its options: docker, docker.image. A name that several kinds share is told apart by\n" +
		"its kind: provisioner.shell-local. It also knows the kinds (provisioner), options that every\n" +
		"step has (pause_before), blocks (build, variable.default), and functions (upper). `blocks`\n" +
		"and `functions` list these. Without a word: the list of components.",
	run: func(_ context.Context, p *program, c *call) error {
		var f explainFlags
		if err := c.parse(p, f.define, 0, 1); err != nil {
			return err
		}
		all := described()
		if len(c.args) > 0 {
			return p.explain(all, c.args[0], f.markdown)
		}
		for _, c := range all {
			c, err := c.Documented()
			if err != nil {
				return err
			}
			p.say("%-16s %-16s %s", c.Kind, c.Name, c.Synopsis())
		}
		p.say("\nSee also `%[1]s explain blocks` and `%[1]s explain functions`.", p.name)
		return nil
	},
}

// explain shows all that a word stands for.
func (p *program) explain(all []docs.Component, word string, markdown bool) error {
	var pages []string
	add := func(page string, err error) error {
		if page != "" {
			pages = append(pages, strings.TrimRight(page, "\n"))
		}
		return err
	}
	for _, kind := range docs.Kinds {
		option := word
		if word == kind || word == kind+"s" {
			option = ""
		}
		if err := add(docs.KindPage(all, kind, option)); err != nil {
			return err
		}
	}
	found, option := docs.Find(all, word)
	of := language().Page(markdown, word)
	if len(found) == 0 && len(pages) == 0 && of == "" {
		found, option = docs.WithOption(all, word)
	}
	for _, d := range found {
		if err := add(d.Page(markdown, option)); err != nil {
			return err
		}
	}
	if err := add(of, nil); err != nil {
		return err
	}
	if len(pages) == 0 {
		return p.noComponent(all, word)
	}
	p.say("%s", strings.Join(pages, "\n\n"))
	return nil
}

// described lists the components of the program.
func described() []docs.Component {
	return docs.Of(components(), kiln.Sources, "kiln", map[string][]*schema.Field{
		docs.Provisioner:   template.Around(template.OnProvisioner),
		docs.PostProcessor: template.Around(template.OnPostProcessor),
	})
}

func (p *program) noComponent(all []docs.Component, word string) error {
	var names []string
	for _, d := range all {
		names = slices.Concat(names, []string{d.Name}, d.Block.Names(), d.AroundNames())
		if rest, ok := strings.CutPrefix(word, d.Name+"."); ok {
			hint := ""
			if near := schema.Suggest(rest, append(d.Block.Names(), d.AroundNames()...)); near != "" {
				hint = fmt.Sprintf(" Did you mean %q?", near)
			}
			return wordedf("Error: %s %s has no option %q.%s", d.Kind, d.Name, rest, hint)
		}
	}
	if near := schema.Suggest(word, slices.Concat(names, docs.Kinds, language().Words())); near != "" {
		return wordedf("Error: there is no component, option, block or function %q. Did you mean %q?", word, near)
	}
	if why := template.ElsewhereType(word); why != "" {
		return wordedf("Error: %s.", why)
	}
	return wordedf("Error: there is no component, option, block or function %q. `%s explain` lists the components.",
		word, p.name)
}
