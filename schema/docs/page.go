package docs

import (
	"fmt"
	"slices"
	"strings"

	"kiln/schema"
)

// page is a reference page that is being written.
type page struct {
	strings.Builder
	markdown bool
	option   string          // the only one to describe; "": all
	shown    map[string]bool // blocks, by their names
}

// Page is the whole documentation of a component, or of one option, as Markdown or
// for a terminal.
func (c Component) Page(markdown bool, option string) (string, error) {
	c, err := c.Documented()
	if err != nil {
		return "", err
	}
	p := page{markdown: markdown, option: option}
	if markdown {
		fmt.Fprintf(&p, "# %s %s\n\n", c.Kind, c.Name)
	} else {
		fmt.Fprintf(&p, "%s %s\n\n", strings.ToUpper(c.Kind), c.Name)
	}
	if option == "" {
		p.WriteString(upperFirst(c.About) + "\n")
		if markdown {
			p.WriteString("| option | type | default | meaning |\n|---|---|---|---|\n")
		}
	}
	p.fields(c.Block.Fields, "")
	if option == "" {
		p.offers(c.Block.Offers())
	}
	p.around(c)
	return p.String(), nil
}

// Kinds are all kinds of components.
var Kinds = []string{Builder, Communicator, Provisioner, PostProcessor, DataSource}

// KindPage lists the components of a kind, and what stands around each of them. Option
// narrows it to one of the latter. It is empty where there is nothing to say.
func KindPage(all []Component, kind, option string) (string, error) {
	all, err := documented(all, kind)
	if err != nil || len(all) == 0 {
		return "", err
	}
	p := page{option: option}
	if option != "" {
		if !slices.Contains(all[0].AroundNames(), option) {
			return "", nil
		}
		p.title("every "+kind, "")
		p.fields(all[0].Around, "")
		return p.String(), nil
	}
	p.title(kind, "")
	for _, c := range all {
		fmt.Fprintf(&p, "  %-16s %s\n", c.Name, c.Synopsis())
	}
	p.around(all[0])
	return p.String(), nil
}

// around writes what every component of the kind can have, or one of it.
func (p *page) around(c Component) {
	if len(c.Around) > 0 && p.option == "" {
		head := "Every " + c.Kind + " can also have:"
		if p.markdown {
			fmt.Fprintf(p, "\n%s\n\n| option | type | default | meaning |\n|---|---|---|---|\n", head)
		} else {
			fmt.Fprintf(p, "\n%s\n\n", head)
		}
	}
	p.fields(c.Around, "")
}

// fields writes the options of a block, those that are required first.
func (p *page) fields(all []*schema.Field, prefix string) {
	fields := slices.Clone(all)
	slices.SortStableFunc(fields, func(a, b *schema.Field) int {
		if a.Required != b.Required {
			return map[bool]int{true: -1, false: 1}[a.Required]
		}
		return strings.Compare(a.Name, b.Name)
	})
	like := map[string]string{} // the option that described a block before
	for _, f := range fields {
		name := prefix + f.Name
		shape := blockShape(f.Block)
		same := f.Block != nil && like[shape] != "" && p.option == ""
		if same {
			g := *f
			g.Doc = strings.TrimSpace(g.Doc + " It has the options of " + like[shape] + ".")
			f = &g
		}
		if p.wants(f, name) {
			p.field(f, name)
		}
		if f.Block != nil && !same {
			like[shape] = name
			p.fields(f.Block.Fields, name+".")
		}
	}
}

// blockShape is the same for blocks with the same options.
func blockShape(b *schema.Block) string {
	if b == nil {
		return ""
	}
	var s strings.Builder
	for _, f := range b.Fields {
		fmt.Fprintf(&s, "%q %q %q %q %v {%s}\n", f.Name, f.TypeName(), f.Doc, f.Default, f.Required, blockShape(f.Block))
	}
	return s.String()
}

// wants reports whether an option belongs on the page. Those of communicators have
// pages of their own.
func (p *page) wants(f *schema.Field, name string) bool {
	if p.option == "" {
		return f.Offer == ""
	}
	return name == p.option || strings.HasPrefix(name, p.option+".")
}

func (p *page) field(f *schema.Field, name string) {
	text := oneLine(f.Doc)
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
	if p.markdown {
		def := f.Default
		if f.Required {
			def = "required"
		} else if f.HasDefault {
			def = "`" + strings.ReplaceAll(def, "|", "`, `") + "`"
		}
		fmt.Fprintf(p, "| `%s` | %s | %s | %s |\n", name, f.TypeName(), def, strings.ReplaceAll(text, "|", "\\|"))
		return
	}
	head := name + " (" + f.TypeName()
	switch {
	case f.Required:
		head += ", required"
	case f.HasDefault:
		head += ", default " + f.Default
	}
	fmt.Fprintf(p, "  %s)\n", head)
	for _, line := range wrap(text, 74) {
		fmt.Fprintf(p, "      %s\n", line)
	}
}

// offers points to the pages of the communicators whose options a builder that
// connects takes too.
func (p *page) offers(names []string) {
	if len(names) == 0 {
		return
	}
	var links []string
	for _, name := range names {
		if p.markdown {
			links = append(links, fmt.Sprintf("[%s](communicator-%s.md)", name, name))
		} else {
			links = append(links, "communicator."+name)
		}
	}
	text := "The options of every communicator can be set here too: " + strings.Join(links, ", ") + "."
	p.WriteString("\n")
	if p.markdown {
		p.WriteString(text + "\n")
		return
	}
	for _, line := range wrap(text, 78) {
		p.WriteString(line + "\n")
	}
}

// wrap breaks text into lines of at most width bytes, at spaces.
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
