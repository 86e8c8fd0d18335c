package docs

import "kiln/schema"

// EditorVersion counts up when a key of the editor's schema changes its meaning.
const EditorVersion = 1

// Syntax describes a block of the template language itself.
type Syntax struct {
	Name        string   `json:"name"`
	Labels      []string `json:"labels,omitempty"`
	Description string   `json:"description"`
	Attributes  []string `json:"attributes,omitempty"`
	// About says what attributes mean.
	About     map[string]string `json:"about,omitempty"`
	Component string            `json:"component,omitempty"` // kind of the one whose options it has too, named by its first label
	Blocks    []Syntax          `json:"blocks,omitempty"`
	Open      bool              `json:"open,omitempty"` // it has attributes of any other name too
}

// Language is what templates are made of beside components.
type Language struct {
	Kiln, Packer string // versions
	Blocks       []Syntax
	Functions    []Function
	Engine       []Function // functions of {{ }} text
}

// Function is a function of the template language.
type Function struct {
	Name  string
	Usage string // how it is called: its name and parameters
	About string // what it gives, in a line
}

// functionNames are the names of functions.
func functionNames(all []Function) (names []string) {
	for _, f := range all {
		names = append(names, f.Name)
	}
	return names
}

// Editor is all that an editor needs to know of templates.
type Editor struct {
	Version    int                                   `json:"version"`
	Kiln       string                                `json:"kiln"`
	Packer     string                                `json:"packer"`
	Blocks     []Syntax                              `json:"blocks"`
	Components map[string]map[string]EditorComponent `json:"components"` // by kind, by type
	Functions  []string                              `json:"functions"`
	Engine     []string                              `json:"engine_functions"`
}

// EditorComponent is a component, for an editor.
type EditorComponent struct {
	Description string         `json:"description"`
	Options     []EditorOption `json:"options"`
}

// EditorOption is an option, for an editor.
type EditorOption struct {
	Name        string         `json:"name"`
	Type        string         `json:"type"`
	Block       bool           `json:"block,omitempty"` // a nested block in HCL2
	Description string         `json:"description,omitempty"`
	Required    bool           `json:"required,omitempty"`
	Default     string         `json:"default,omitempty"`
	OneOf       []string       `json:"one_of,omitempty"`
	Sensitive   bool           `json:"sensitive,omitempty"`
	Earlier     []string       `json:"earlier_names,omitempty"`
	Refused     string         `json:"refused,omitempty"` // why it cannot be set
	Options     []EditorOption `json:"options,omitempty"` // of a block
}

// EditorSchema describes a language and what can be configured in it. The options of
// communicators are among those of the builders.
func EditorSchema(l Language, all []Component) (*Editor, error) {
	all, err := documented(all, Builder, Provisioner, PostProcessor, DataSource)
	if err != nil {
		return nil, err
	}
	e := &Editor{Version: EditorVersion, Kiln: l.Kiln, Packer: l.Packer, Blocks: l.Blocks,
		Components: map[string]map[string]EditorComponent{}, Functions: functionNames(l.Functions),
		Engine: functionNames(l.Engine)}
	for _, c := range all {
		if e.Components[c.Kind] == nil {
			e.Components[c.Kind] = map[string]EditorComponent{}
		}
		e.Components[c.Kind][c.Name] = EditorComponent{c.Synopsis(), editorOptions(c.Block)}
	}
	return e, nil
}

func editorOptions(b *schema.Block) []EditorOption {
	var all []EditorOption
	for _, f := range b.Fields {
		o := EditorOption{Name: f.Name, Type: f.TypeName(), Block: f.Block != nil, Description: oneLine(f.Doc),
			Required: f.Required, Default: f.Default, OneOf: f.OneOf, Sensitive: f.Sensitive,
			Earlier: f.Was, Refused: f.Refused}
		if f.Block != nil {
			o.Options = editorOptions(f.Block)
		}
		all = append(all, o)
	}
	return all
}
