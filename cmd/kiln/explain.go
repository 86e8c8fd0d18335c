package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kiln"
	"kiln/schema"
)

type explainFlags struct{ markdown bool }

func (f *explainFlags) define(fs *flag.FlagSet) {
	fs.BoolVar(&f.markdown, "markdown", false, "write the page as it stands in docs/reference")
}

var explainCommand = &command{
	name: "explain", usage: "[options] [COMPONENT[.OPTION]]", synopsis: "show the options of a component",
	about: "Shows what a builder, communicator, provisioner or post-processor does and each of its options.\nWithout a name: the list of components. A name that several kinds share is told apart\nby its kind: explain provisioner.shell-local.",
	run: func(_ context.Context, p *program, c *call) int {
		var f explainFlags
		if !c.parse(p, f.define, 0, 1) {
			return exitFailed
		}
		all := described()
		if len(c.args) == 0 {
			for _, d := range all {
				p.say("%-16s %-16s %s", d.kind, d.name, d.synopsis())
			}
			return exitOK
		}
		found, option := find(all, c.args[0])
		if len(found) == 0 {
			p.noComponent(all, c.args[0])
			return exitFailed
		}
		for i, d := range found {
			if i > 0 {
				p.say("")
			}
			text, err := d.page(f.markdown, option)
			if err != nil {
				p.fail("Error: %v", err)
				return exitFailed
			}
			p.say("%s", strings.TrimRight(text, "\n"))
		}
		return exitOK
	},
}

// description is a component with its documentation.
type description struct {
	kind, name string
	component  any
}

func described() []description {
	var all []description
	c := components()
	for _, name := range slices.Sorted(maps.Keys(c.Builders)) {
		all = append(all, description{"builder", name, c.NewBuilder(name)})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Communicators)) {
		all = append(all, description{"communicator", name, c.Communicators[name]()})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Provisioners)) {
		all = append(all, description{"provisioner", name, c.Provisioners[name]()})
	}
	for _, name := range slices.Sorted(maps.Keys(c.PostProcessors)) {
		all = append(all, description{"post-processor", name, c.PostProcessors[name]()})
	}
	for _, name := range slices.Sorted(maps.Keys(c.DataSources)) {
		all = append(all, description{"data", name, c.DataSources[name]()})
	}
	return all
}

// find understands NAME, KIND.NAME, NAME.OPTION and KIND.NAME.OPTION.
func find(all []description, word string) (found []description, option string) {
	for _, d := range all {
		for _, name := range []string{d.name, d.kind + "." + d.name} {
			if word == name {
				found = append(found, d)
			} else if rest, ok := strings.CutPrefix(word, name+"."); ok && known(d, rest) {
				found, option = append(found, d), rest
			}
		}
	}
	return found, option
}

func known(d description, option string) bool {
	name, _, _ := strings.Cut(option, ".")
	return schema.Of(d.component).Field(name) != nil
}

func (p *program) noComponent(all []description, word string) {
	var names []string
	for _, d := range all {
		names = append(names, d.name)
		if rest, ok := strings.CutPrefix(word, d.name+"."); ok {
			hint := ""
			if near := schema.Suggest(rest, schema.Of(d.component).Names()); near != "" {
				hint = fmt.Sprintf(" Did you mean %q?", near)
			}
			p.fail("Error: %s %s has no option %q.%s", d.kind, d.name, rest, hint)
			return
		}
	}
	if near := schema.Suggest(word, names); near != "" {
		p.fail("Error: there is no component %q. Did you mean %q?", word, near)
		return
	}
	p.fail("Error: there is no component %q. `%s explain` lists all.", word, p.name)
}

func (d description) comments() schema.Comments {
	c, err := schema.CommentsOf(kiln.Sources, "kiln", d.component)
	if err != nil {
		// The sources are part of the program: a test reads them all.
		return schema.Comments{Package: err.Error()}
	}
	return c
}

// synopsis is the first sentence of the package comment, without the words that
// Go's documentation begins with.
func (d description) synopsis() string {
	text := strings.Join(strings.Fields(d.comments().Package), " ")
	_, rest, ok := strings.Cut(strings.TrimPrefix(text, "Package "), " ")
	if ok && strings.HasPrefix(text, "Package ") {
		text = rest
	}
	first, _, _ := strings.Cut(text, ". ")
	return strings.TrimSuffix(first, ".")
}

// page is the whole documentation of a component, or of one option.
func (d description) page(markdown bool, option string) (string, error) {
	c, err := schema.CommentsOf(kiln.Sources, "kiln", d.component)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if markdown {
		fmt.Fprintf(&b, "# %s %s\n\n", d.kind, d.name)
	} else {
		fmt.Fprintf(&b, "%s %s\n\n", strings.ToUpper(d.kind), d.name)
	}
	if option == "" {
		_, text, _ := strings.Cut(strings.TrimPrefix(c.Package, "Package "), " ")
		b.WriteString(strings.ToUpper(text[:min(1, len(text))]) + text[min(1, len(text)):] + "\n")
		if markdown {
			b.WriteString("| option | type | default | meaning |\n|---|---|---|---|\n")
		}
	}
	st := schema.Of(d.component)
	writeFields(&b, st, c, "", markdown, option)
	if option == "" {
		writeOffers(&b, st.Offers(), markdown)
	}
	return b.String(), nil
}

// writeOffers points to the pages of the communicators, whose options a builder
// that connects takes too.
func writeOffers(b *strings.Builder, names []string, markdown bool) {
	if len(names) == 0 {
		return
	}
	for i, name := range names {
		if markdown {
			names[i] = fmt.Sprintf("[%s](communicator-%s.md)", name, name)
		} else {
			names[i] = "communicator." + name
		}
	}
	text := "The options of every communicator can be set here too: " + strings.Join(names, ", ") + "."
	b.WriteString("\n")
	if markdown {
		b.WriteString(text + "\n")
		return
	}
	for _, line := range wrap(text, 78) {
		b.WriteString(line + "\n")
	}
}

func writeFields(b *strings.Builder, st *schema.Block, c schema.Comments, prefix string, markdown bool, option string) {
	fields := slices.Clone(st.Fields)
	slices.SortStableFunc(fields, func(a, b *schema.Field) int {
		if a.Required != b.Required {
			return map[bool]int{true: -1, false: 1}[a.Required]
		}
		return strings.Compare(a.Name, b.Name)
	})
	for _, f := range fields {
		name := prefix + f.Name
		if option == "" && f.Offer == "" || option == name || option != "" && strings.HasPrefix(name, option+".") {
			writeField(b, f, name, c.Fields[name], markdown)
		}
		if f.Block != nil {
			writeFields(b, f.Block, c, name+".", markdown, option)
		}
	}
}

func writeField(b *strings.Builder, f *schema.Field, name, comment string, markdown bool) {
	text := strings.Join(strings.Fields(comment), " ")
	if text != "" && !strings.HasSuffix(text, ".") {
		text += "."
	}
	if len(f.OneOf) > 0 {
		text += " One of: " + strings.Join(f.OneOf, ", ") + "."
	}
	if len(f.Was) > 0 {
		text += " Earlier name: " + strings.Join(f.Was, ", ") + "."
	}
	if f.Refused != "" {
		text += " Refused: " + f.Refused + "."
	}
	text = strings.TrimSpace(text)
	if markdown {
		def := f.Default
		if f.Required {
			def = "required"
		} else if f.HasDefault {
			def = "`" + strings.ReplaceAll(def, "|", "`, `") + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", name, f.TypeName(), def, strings.ReplaceAll(text, "|", "\\|"))
		return
	}
	head := name + " (" + f.TypeName()
	switch {
	case f.Required:
		head += ", required"
	case f.HasDefault:
		head += ", default " + f.Default
	}
	fmt.Fprintf(b, "  %s)\n", head)
	for _, line := range wrap(text, 74) {
		fmt.Fprintf(b, "      %s\n", line)
	}
}

// wrap breaks text into lines of at most width bytes, at blanks.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, w := range strings.Fields(text) {
		if line != "" && len(line)+1+len(w) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + w)
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
