package docs

import (
	"fmt"
	"slices"
	"strings"
)

// BlocksPage lists the blocks of the language, FunctionsPage its functions.
const (
	BlocksPage    = "blocks"
	FunctionsPage = "functions"
)

// Page is all that a word of the language itself stands for: "blocks", "functions", a
// block, a block's attribute (variable.default), or a function. It is empty where the word
// is none of them.
func (l Language) Page(markdown bool, word string) string {
	p := &page{markdown: markdown, shown: map[string]bool{}}
	switch word {
	case BlocksPage:
		p.title("Blocks of HCL2 templates", "")
		for _, b := range l.Blocks {
			p.block(b, "", "")
		}
		return p.String()
	case FunctionsPage:
		p.functions("Functions of HCL2 expressions", l.Functions)
		p.WriteString("\n")
		p.functions("Functions of {{ }} text", l.Engine)
		return p.String()
	}
	for _, b := range l.Blocks {
		p.find(b, "", word)
	}
	for _, set := range []struct {
		kind string
		all  []Function
	}{{"function", l.Functions}, {"function of {{ }} text", l.Engine}} {
		for _, f := range set.all {
			if f.Name == strings.TrimSuffix(word, "()") {
				p.title(set.kind, f.Name)
				p.function(f)
			}
		}
	}
	return p.String()
}

// Words are all that Page knows, for suggestions and completion.
func (l Language) Words() []string {
	words := []string{BlocksPage, FunctionsPage}
	var add func(b Syntax, prefix string)
	add = func(b Syntax, prefix string) {
		words = append(words, prefix+b.Name)
		for _, sub := range b.Blocks {
			add(sub, b.Name+".")
		}
	}
	for _, b := range l.Blocks {
		add(b, "")
	}
	for _, f := range slices.Concat(l.Functions, l.Engine) {
		words = append(words, f.Name)
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// title begins a page, apart from one before it.
func (p *page) title(kind, name string) {
	if p.Len() > 0 {
		p.WriteString("\n")
	}
	if p.markdown {
		fmt.Fprintf(p, "# %s\n\n", strings.TrimSpace(kind+" "+name))
	} else {
		fmt.Fprintf(p, "%s\n\n", strings.TrimSpace(strings.ToUpper(kind)+" "+name))
	}
}

// find writes the blocks, and the attributes, that a word names.
func (p *page) find(b Syntax, within, word string) {
	path := strings.TrimPrefix(within+"."+b.Name, ".")
	attribute, of := "", false
	for _, name := range []string{b.Name, path} {
		if rest, ok := strings.CutPrefix(word, name+"."); ok && slices.Contains(b.Attributes, rest) {
			attribute, of = rest, true
		}
	}
	// What stands in several blocks is shown once, unless one of them is named.
	if named := of || word == b.Name; word == path || named && !p.shown[b.Name] {
		p.title("block", path)
		p.block(b, within, attribute)
		p.shown[b.Name] = b.Component != ""
	}
	for _, sub := range b.Blocks {
		p.find(sub, path, word)
	}
}

// head is how a block begins in a template.
func (b Syntax) head() string {
	head := b.Name
	for _, label := range b.Labels {
		head += fmt.Sprintf(" %q", strings.ToUpper(label))
	}
	return head
}

// block writes what a block is and what stands in it, or one of its attributes.
func (p *page) block(b Syntax, within, attribute string) {
	if p.markdown {
		p.blockMarkdown(b, within)
		return
	}
	if attribute == "" {
		fmt.Fprintf(p, "  %s { }\n", b.head())
		if within != "" {
			fmt.Fprintf(p, "      In a %s block: %s.\n", within, b.Description)
		} else {
			fmt.Fprintf(p, "      %s.\n", upperFirst(b.Description))
		}
		if b.Component != "" {
			fmt.Fprintf(p, "      It also has the options of the %s that its type names: see explain.\n", b.Component)
		}
	}
	for _, name := range b.Attributes {
		if attribute != "" && name != attribute {
			continue
		}
		fmt.Fprintf(p, "  %s.%s\n", b.Name, name)
		for _, line := range wrap(b.About[name], 74) {
			fmt.Fprintf(p, "      %s\n", line)
		}
	}
	if attribute != "" {
		return
	}
	for _, sub := range b.Blocks {
		fmt.Fprintf(p, "  %s.%s\n      A block: %s.\n", b.Name, sub.Name, sub.Description)
	}
}

// blockMarkdown writes a block with all that is in it.
func (p *page) blockMarkdown(b Syntax, within string) {
	path := strings.TrimPrefix(within+"."+b.Name, ".")
	fmt.Fprintf(p, "## %s\n\n`%s { }`: %s.", path, b.head(), b.Description)
	if b.Component != "" {
		fmt.Fprintf(p, " It also has the options of the %s that its type names.", b.Component)
	}
	p.WriteString("\n\n")
	if len(b.Attributes) > 0 {
		p.WriteString("| attribute | meaning |\n|---|---|\n")
		for _, name := range b.Attributes {
			fmt.Fprintf(p, "| `%s` | %s |\n", name, strings.ReplaceAll(b.About[name], "|", "\\|"))
		}
		p.WriteString("\n")
	}
	for _, sub := range b.Blocks {
		p.blockMarkdown(sub, path)
	}
}

func (p *page) functions(title string, all []Function) {
	p.title(title, "")
	if p.markdown {
		p.WriteString("| call | what it gives |\n|---|---|\n")
	}
	for _, f := range all {
		p.function(f)
	}
}

func (p *page) function(f Function) {
	if p.markdown {
		fmt.Fprintf(p, "| `%s` | %s |\n", f.Usage, strings.ReplaceAll(f.About, "|", "\\|"))
		return
	}
	fmt.Fprintf(p, "  %s\n      %s.\n", f.Usage, upperFirst(f.About))
}

func upperFirst(s string) string {
	first := min(1, len(s))
	return strings.ToUpper(s[:first]) + s[first:]
}
