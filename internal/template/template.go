// Package template reads a team's template, HCL2 or legacy JSON, into one model
// that says which builds there are and how each of their components is
// configured. Nothing behind it can tell which format it was.
package template

import (
	"context"
	"io"
	"time"

	"github.com/hashicorp/hcl/v2"

	"kiln"
	"kiln/internal/template/interpolate"
	"kiln/internal/template/outside"
)

// Options says what to load and with which values.
type Options struct {
	Path       string    // a file, a folder of HCL2 files, or "-" for legacy JSON on Stdin
	Stdin      io.Reader // read for "-"
	Name       string    // what "-" is called in messages; default <stdin>
	ConfigType string    // "json" or "hcl2", where the path does not decide; default json
	Vars       []string  // "name=value" of -var, in order
	VarFiles   []string  // of -var-file, in order
	Only       []string  // selection of builds, see docs/compat/templates.md 3.9
	Except     []string
	Environ    []string // as of os.Environ

	WarnUndeclared bool // warn of names in var-files that no variable declares
	Thorough       bool // if loading fails, look for all that is wrong behind it too
	Sequential     bool // evaluate data sources before locals, as before Packer 1.12
	EvaluateData   bool // run data sources; otherwise their values stay unknown

	Components    kiln.Components
	PackerVersion string    // the version that templates see and ask for
	KilnVersion   string    // Kiln's own
	Start         time.Time // of the program, for timestamp and isotime
	Hide          func(secret string)
	Secrets       interpolate.Secrets // nil: vault and its like are refused

	Secret func(text string) bool // reports whether a text holds a secret; nil: those that were hidden
	Plain  func(text string) bool // likewise, but of none that is too short to be told from other text
	World  *outside.World         // what is outside the template; nil: the machine
	From   *Bundle                // the template is loaded again from it; nil: from files

	public *public
}

// Template is a loaded template: everything that can be known without looking at
// components.
type Template struct {
	Path        string // as it was given
	Dir         string // its folder, as given: "." stays "."
	Format      Format
	Description string
	Sources     []SourceFile // what was read, for excerpts and for layer keys

	Variables []Variable
	Locals    []Local
	Blocks    []Block // build blocks as they are declared, for inspect
	Plugins   []Plugin
	Doubled   Diagnostics // plugins that are asked for twice: an error for who would install them

	options Options
	lang    Language
	texts   *Texts
	built   []*Build // by the last call of Builds
}

// Format is the language of a template.
type Format string

// The two languages.
const (
	JSON Format = "json"
	HCL2 Format = "hcl2"
)

// SourceFile is a file that was read.
type SourceFile struct {
	Name string
	Text []byte
}

// Plugin is an entry of a required_plugins block.
type Plugin struct {
	Accessor string // prefix of its components' types in this template
	Source   string // host/owner/name
	Version  string // constraint
}

// Variable is an input of the template, for inspect.
type Variable struct {
	Name        string
	Description string
	Required    bool   // has no default
	Default     string // as it is written in the template, for legacy JSON
	Value       string // as inspect shows it: quoted, <unknown>, <sensitive>
	JSON        []byte // the value; nil: it is not known
	Sensitive   bool
}

// Local is a computed value, for inspect.
type Local struct {
	Name      string
	Value     string // as inspect shows it
	JSON      []byte // the value; nil: it is not known
	Sensitive bool
}

// Block is a build block as declared; legacy JSON has one.
type Block struct {
	Name         string
	Description  string
	Sources      []Named // type and name (the alias where there is one)
	Provisioners []Named
	Cleanup      *Named
	Chains       [][]Named // post-processors
}

// Named is a component with the name the template gives it.
type Named struct{ Type, Name string }

// Language is what each language does for a Template.
type Language interface {
	// Spec resolves variables, locals and data sources and says which builds the
	// template asks for, with what is wrong with it so far.
	Spec(ctx context.Context) (*Spec, hcl.Diagnostics)
	Validate() hcl.Diagnostics
	Eval(line string) (string, Diagnostics)
	Dump() string
	Words() []string
	// Bundle adds the values of variables and data sources.
	Bundle(b *Bundle)
}

// New is a template that its language reads. Options are those that it was asked
// for with, texts what diagnostics point into.
func New(o Options, lang Language, texts *Texts) *Template {
	return &Template{Path: o.Path, options: o, lang: lang, texts: texts}
}

// Validate checks what can be told without values: names that blocks give each
// other, versions.
func (t *Template) Validate() Diagnostics { return t.texts.Convert(t.lang.Validate()).Tidy() }

// Eval evaluates one line as the console does: an expression for HCL2, {{ }} text
// for legacy JSON. Call Builds first: it gives variables and locals their values.
func (t *Template) Eval(line string) (string, Diagnostics) { return t.lang.Eval(line) }

// Dump lists the variables as the console's word "variables" does.
func (t *Template) Dump() string { return t.lang.Dump() }

// Words are the names that an expression can use, for completion.
func (t *Template) Words() []string { return t.lang.Words() }
