package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"kiln"
	"kiln/schema"
	"kiln/schema/docs"
)

type explainFlags struct{ markdown bool }

func (f *explainFlags) define(fs *flag.FlagSet) {
	fs.BoolVar(&f.markdown, "markdown", false, "write the page as it stands in docs/reference")
}

var explainCommand = &command{
	name: "explain", usage: "[options] [COMPONENT[.OPTION]]", synopsis: "show the options of a component",
	about: "Shows what a builder, communicator, provisioner or post-processor does and each of its\n" +
		"options. Without a name: the list of components. A name that several kinds share is told\n" +
		"apart by its kind: explain provisioner.shell-local.",
	run: func(_ context.Context, p *program, c *call) error {
		var f explainFlags
		if err := c.parse(p, f.define, 0, 1); err != nil {
			return err
		}
		all := described()
		if len(c.args) == 0 {
			for _, c := range all {
				c, err := c.Documented()
				if err != nil {
					return err
				}
				p.say("%-16s %-16s %s", c.Kind, c.Name, c.Synopsis())
			}
			return nil
		}
		found, option := docs.Find(all, c.args[0])
		if len(found) == 0 {
			return p.noComponent(all, c.args[0])
		}
		for i, d := range found {
			if i > 0 {
				p.say("")
			}
			text, err := d.Page(f.markdown, option)
			if err != nil {
				return err
			}
			p.say("%s", strings.TrimRight(text, "\n"))
		}
		return nil
	},
}

// described lists the components of the program.
func described() []docs.Component { return docs.Of(components(), kiln.Sources, "kiln") }

func (p *program) noComponent(all []docs.Component, word string) error {
	var names []string
	for _, d := range all {
		names = append(names, d.Name)
		if rest, ok := strings.CutPrefix(word, d.Name+"."); ok {
			hint := ""
			if near := schema.Suggest(rest, d.Block.Names()); near != "" {
				hint = fmt.Sprintf(" Did you mean %q?", near)
			}
			return wordedf("Error: %s %s has no option %q.%s", d.Kind, d.Name, rest, hint)
		}
	}
	if near := schema.Suggest(word, names); near != "" {
		return wordedf("Error: there is no component %q. Did you mean %q?", word, near)
	}
	return wordedf("Error: there is no component %q. `%s explain` lists all.", word, p.name)
}
