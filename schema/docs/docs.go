// Package docs tells people and editors what components can be told: reference
// pages, the schema for editors, and the JSON Schema of legacy templates. All of it
// comes from the components' descriptions and the doc comments of their sources.
package docs

import (
	"io/fs"
	"maps"
	"slices"
	"strings"

	"kiln"
	"kiln/schema"
)

// Kinds of components, as templates and people call them.
const (
	Builder       = "builder"
	Communicator  = "communicator"
	Provisioner   = "provisioner"
	PostProcessor = "post-processor"
	DataSource    = "data"
)

// Component is one thing that a template can configure.
type Component struct {
	Kind, Name string
	About      string        // what it does; of one with sources, known once it is Documented
	Block      *schema.Block // its options; those of one with sources have no Doc yet
	// Around is what every component of its kind can have beside its options.
	Around []*schema.Field
	source *source
}

// source is where the doc comments of a component are.
type source struct {
	files  fs.FS
	module string
	value  any
}

// Of lists components with the sources that describe them, whose package paths
// begin with module, and what each kind has around them.
func Of(c kiln.Components, files fs.FS, module string, around map[string][]*schema.Field) []Component {
	var all []Component
	add := func(kind, name string, value any) {
		all = append(all, Component{
			Kind: kind, Name: name, Block: schema.Of(value), Around: around[kind],
			source: &source{files, module, value}})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Builders)) {
		add(Builder, name, c.NewBuilder(name))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Communicators)) {
		add(Communicator, name, c.Communicators[name]())
	}
	for _, name := range slices.Sorted(maps.Keys(c.Provisioners)) {
		add(Provisioner, name, c.Provisioners[name]())
	}
	for _, name := range slices.Sorted(maps.Keys(c.PostProcessors)) {
		add(PostProcessor, name, c.PostProcessors[name]())
	}
	for _, name := range slices.Sorted(maps.Keys(c.DataSources)) {
		add(DataSource, name, c.DataSources[name]())
	}
	return all
}

// Find understands NAME, KIND.NAME, NAME.OPTION and KIND.NAME.OPTION.
func Find(all []Component, word string) (found []Component, option string) {
	for _, c := range all {
		for _, name := range []string{c.Name, c.Kind + "." + c.Name} {
			if word == name {
				found = append(found, c)
			} else if rest, ok := strings.CutPrefix(word, name+"."); ok && c.has(rest) {
				found, option = append(found, c), rest
			}
		}
	}
	return found, option
}

// WithOption are the components that have an option of their own.
func WithOption(all []Component, option string) (found []Component, same string) {
	for _, c := range all {
		name, _, _ := strings.Cut(option, ".")
		if f := c.Block.Field(name); f != nil && f.Offer == "" {
			found = append(found, c)
		}
	}
	return found, option
}

func (c Component) has(option string) bool {
	name, _, _ := strings.Cut(option, ".")
	return c.Block.Field(name) != nil || slices.Contains(c.AroundNames(), name)
}

// AroundNames are the names of what stands around it.
func (c Component) AroundNames() (names []string) {
	for _, f := range c.Around {
		names = append(names, f.Name)
	}
	return names
}

// Documented is the component with its own description and that of every option.
func (c Component) Documented() (Component, error) {
	if c.source == nil {
		return c, nil
	}
	block, about, err := schema.Documented(c.source.files, c.source.module, c.source.value)
	if rest, ok := strings.CutPrefix(about, "Package "); ok {
		_, about, _ = strings.Cut(rest, " ") // the words that Go's documentation begins with
	}
	return Component{Kind: c.Kind, Name: c.Name, About: about, Block: block, Around: c.Around}, err
}

// documented are all components of some kinds, or of every kind, documented.
func documented(all []Component, kinds ...string) ([]Component, error) {
	var out []Component
	for _, c := range all {
		if len(kinds) > 0 && !slices.Contains(kinds, c.Kind) {
			continue
		}
		c, err := c.Documented()
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// Synopsis is the first sentence of a documented component's description.
func (c Component) Synopsis() string {
	first, _, _ := strings.Cut(oneLine(c.About), ". ")
	return strings.TrimSuffix(first, ".")
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
