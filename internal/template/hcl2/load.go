// Package hcl2 parses templates in HCL2 to the specification of package template,
// and resolves what belongs to the language: variables, locals, data sources and
// modules.
package hcl2

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyfunction "github.com/zclconf/go-cty/cty/function"

	"kiln/internal/template"
	"kiln/internal/template/function"
	"kiln/internal/template/outside"
	"kiln/schema"
)

// parsed is an HCL2 template as it is written. It does not change once it is read.
type parsed struct {
	template.Options
	parser *parser
	dir    string // path.root
	files  []template.SourceFile

	variables map[string]*variable
	order     []string // names of variables as declared
	locals    map[string]*local
	data      map[[2]string]*dataBlock
	sources   map[[2]string]*hcl.Block
	builds    []*hcl.Block
	registry  *hcl.Block
	modules   []*module
	outputs   []*local
	steps     map[string]*hcl.Block // shared provisioners
	plugins   []template.Plugin
	problems  hcl.Diagnostics
	doubled   hcl.Diagnostics // plugins asked for twice: refused where they are looked for
	late      hcl.Diagnostics // found only when the template is resolved: inspect and -syntax-only do not see them

	sourceOrder [][2]string
	inside      []string // folders of the modules that this one is in

	functions func() map[string]ctyfunction.Function
}

// rootSchema is all that may stand at the root of a file.
var rootSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "packer"}, {Type: "kiln"}, {Type: "variable",
		LabelNames: []string{"name"}}, {Type: "variables"}, {Type: "locals"},
	{Type: "local", LabelNames: []string{"name"}}, {Type: "data", LabelNames: []string{"type", "name"}},
	{Type: "source", LabelNames: []string{"type", "name"}}, {Type: "build"}, {Type: "hcp_packer_registry"},
	{Type: "communicator", LabelNames: []string{"type", "name"}},
	{Type: "module", LabelNames: []string{"name"}}, {Type: "output",
		LabelNames: []string{"name"}}, {Type: "steps", LabelNames: []string{"name"}},
}}

var rootNames = []string{"packer", "kiln", "variable", "variables", "locals", "local", "data", "source",
	"build", "hcp_packer_registry", "communicator", "module", "output", "steps"}

// Load reads an HCL2 template, a file or all files of a folder: phases 1 to 6 of
// docs/compat/templates.md 3.2.
func Load(ctx context.Context, o template.Options, folder bool) (*template.Template, template.Diagnostics) {
	dir := "."
	var paths []string
	switch {
	case folder:
		dir = template.Display(o.Path)
		var diags template.Diagnostics
		if paths, diags = templateFiles(o.World, o.Path); diags.HasErrors() {
			return nil, diags
		}
	case o.Path != "":
		dir, paths = template.Display(filepath.Dir(o.Path)), []string{o.Path}
	}
	p := newParsed(o, dir)
	if folder {
		p.inside = []string{o.World.Abs(dir)}
	}
	p.readFiles(paths)
	if len(p.files) < len(paths) {
		return nil, p.parser.texts.Convert(p.problems).Tidy()
	}
	sc := newScope(p, newArtifacts(), "")
	p.Public(sc.public)
	sc.t = template.New(o, sc, p.parser.texts)
	sc.t.Dir, sc.t.Format, sc.t.Sources, sc.t.Plugins = dir, template.HCL2, p.files, p.plugins
	sc.t.Doubled = p.parser.texts.Convert(p.doubled)
	sc.readValues(folder)
	sc.describeValues()
	problems := append(slices.Clone(p.problems), sc.problems...)
	diags := p.parser.texts.Convert(problems)
	if problems.HasErrors() && o.Thorough {
		// What else is wrong is reported at the same time.
		sc.evaluateData = false
		diags = append(diags, sc.t.Thorough(ctx)...)
	}
	return sc.t, diags.Tidy()
}

// templateFiles lists the files of a folder that make up a template: the native
// ones in name order and then those in JSON.
func templateFiles(w *outside.World, dir string) ([]string, template.Diagnostics) {
	native, err := template.Matching(w, dir, ".pkr.hcl")
	if err != nil {
		return nil, template.Errorf("Cannot read the folder", err.Error())
	}
	json, err := template.Matching(w, dir, ".pkr.json")
	if err != nil {
		return nil, template.Errorf("Cannot read the folder", err.Error())
	}
	paths := append(native, json...)
	if len(paths) == 0 {
		return nil, template.Errorf("Could not find any config file in "+dir,
			"A config file must be suffixed with `.pkr.hcl` or `.pkr.json`. A folder can be referenced.")
	}
	return paths, nil
}

// newParsed is a template whose files have not been read.
func newParsed(o template.Options, dir string) *parsed {
	p := &parsed{Options: o, parser: newParser(), dir: dir,
		variables: map[string]*variable{}, locals: map[string]*local{}, data: map[[2]string]*dataBlock{},
		sources: map[[2]string]*hcl.Block{}, steps: map[string]*hcl.Block{}}
	p.functions = sync.OnceValue(func() map[string]ctyfunction.Function {
		return function.Functions(function.Options{Dir: dir, Start: o.Start, Secrets: o.Secrets,
			World: o.World, Hide: o.Hide, Secret: o.Plain})
	})
	return p
}

// readFiles reads files and the blocks in them.
func (p *parsed) readFiles(paths []string) {
	var bodies []hcl.Body
	for _, path := range paths {
		text, parts, diags := p.parser.parse(path, p.World.ReadFile)
		p.problems = append(p.problems, diags...)
		if parts == nil {
			continue
		}
		bodies = append(bodies, parts...)
		p.files = append(p.files, template.SourceFile{Name: template.Display(path), Text: text})
	}
	if p.problems.HasErrors() {
		return
	}
	for _, body := range bodies {
		p.readFile(body)
	}
}

func (p *parsed) readFile(body hcl.Body) {
	content, diags := body.Content(rootSchema)
	for _, d := range diags {
		if name := quotedName(d.Detail); name != "" && d.Summary == "Unsupported block type" {
			if near := schema.Suggest(name, rootNames); near != "" && !strings.Contains(d.Detail,
				"Did you mean") {
				d.Detail += fmt.Sprintf(" Did you mean %q?", near)
			}
			if name == "dynamic" {
				d.Detail += " Dynamic blocks stand inside source and build blocks."
			}
		}
		if d.Summary == "Unsupported argument" {
			d.Detail += " There are no arguments outside of blocks; values stand in a locals or variables block."
		}
	}
	p.problems = append(p.problems, diags...)
	for _, blk := range content.Blocks {
		p.readBlock(blk)
	}
}

func quotedName(s string) string {
	_, rest, ok := strings.Cut(s, `"`)
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

func (p *parsed) readBlock(blk *hcl.Block) {
	for i, label := range blk.Labels {
		if !hclsyntax.ValidIdentifier(label) {
			p.problems = append(p.problems, template.ErrorfAt(
				blk.LabelRanges[i],
				"Invalid "+blk.Type+" name",
				"%q is no valid name: a name begins with a letter or underscore and has letters, digits, underscores and dashes.",
				label,
			))
			return
		}
	}
	switch blk.Type {
	case "packer":
		p.readPacker(blk, p.PackerVersion, "Packer Core")
	case "kiln":
		p.readPacker(blk, p.KilnVersion, "Kiln")
	case "variable":
		p.readVariable(blk)
	case "variables":
		p.readVariables(blk)
	case "local":
		p.readLocal(blk)
	case "locals":
		p.readLocals(blk)
	case "data":
		p.readData(blk)
	case "source":
		key := [2]string{blk.Labels[0], blk.Labels[1]}
		if old := p.sources[key]; old != nil {
			p.late = append(p.late, template.ErrorfAt(
				blk.DefRange,
				"Duplicate source block",
				"This source block has the same type and name as a previous block declared at %s. Each source must have a unique name per builder type.",
				old.DefRange,
			))
			return
		}
		p.sources[key] = blk
		p.sourceOrder = append(p.sourceOrder, key)
	case "module":
		p.readModule(blk)
	case "output":
		p.readOutput(blk)
	case "steps":
		p.readSteps(blk)
	case "build":
		p.builds = append(p.builds, blk)
	case "hcp_packer_registry":
		if p.registry != nil {
			p.late = append(p.late, template.ErrorAt(blk.DefRange, "Only one hcp_packer_registry is allowed", ""))
			return
		}
		p.registry = blk
	}
}

var packerSchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "required_version"}},
	Blocks: []hcl.BlockHeaderSchema{{Type: "required_plugins"}}}

// readPacker checks the versions that a template asks for.
func (p *parsed) readPacker(blk *hcl.Block, have, what string) {
	content, diags := blk.Body.Content(packerSchema)
	p.problems = append(p.problems, diags...)
	if attr := content.Attributes["required_version"]; attr != nil {
		v, diags := attr.Expr.Value(nil)
		p.problems = append(p.problems, diags...)
		if diags.HasErrors() {
			return
		}
		if v.Type() != cty.String || v.IsNull() {
			p.problems = append(p.problems, template.ErrorAt(attr.Expr.Range(), "Invalid version constraint",
				"A string value is required for required_version."))
			return
		}
		switch ok, err := template.VersionFits(have, v.AsString()); {
		case err != nil:
			p.problems = append(p.problems, template.ErrorfAt(attr.Expr.Range(), "Invalid version constraint",
				"This string does not use correct version constraint syntax: %v.", err))
		case !ok:
			p.problems = append(p.problems, template.ErrorfAt(
				attr.Expr.Range(),
				"Unsupported "+what+" version",
				"This configuration does not support %s version %s. To proceed, either choose another supported version or update this version constraint.",
				what,
				have,
			))
		}
	}
	for _, b := range content.Blocks {
		p.readPlugins(b)
	}
}

var (
	accessor = regexp.MustCompile(`^[0-9A-Za-z](?:[0-9A-Za-z-]*[0-9A-Za-z])?$`)
	address  = regexp.MustCompile(`^[^/?#\s]+(/[^/?#\s]+){2,15}$`)
)

// readPlugins checks the form of plugin requirements. What they would bring is
// built in, or reported where it is used.
func (p *parsed) readPlugins(blk *hcl.Block) {
	attrs, diags := blk.Body.JustAttributes()
	p.problems = append(p.problems, diags...)
	for name, attr := range attrs {
		if !accessor.MatchString(name) {
			p.problems = append(p.problems, template.ErrorfAt(attr.NameRange, "Invalid plugin requirement",
				"%q is no valid local name: letters, digits and dashes.", name))
			continue
		}
		v, diags := attr.Expr.Value(nil)
		p.problems = append(p.problems, diags...)
		if diags.HasErrors() {
			continue
		}
		if !v.Type().IsObjectType() {
			p.problems = append(p.problems, template.ErrorfAt(
				attr.Expr.Range(),
				"Invalid plugin requirement",
				"'%s' plugin requirement calls are possible only using an object: %s = { version = \">= 1.0.0\", source = \"github.com/hashicorp/%s\" }.",
				name,
				name,
				name,
			))
			continue
		}
		for key := range v.Type().AttributeTypes() {
			if key != "version" && key != "source" {
				p.problems = append(p.problems, template.ErrorfAt(attr.Expr.Range(),
					"Invalid plugin requirement", "%q is neither version nor source.", key))
			}
		}
		p.checkRequirement(name, v, attr.Expr.Range())
	}
}

func (p *parsed) checkRequirement(name string, v cty.Value, rng hcl.Range) {
	for _, old := range p.plugins {
		if old.Accessor == name {
			p.doubled = append(p.doubled, template.ErrorfAt(rng,
				fmt.Sprintf("Duplicate required_plugin.%q block", name),
				"The plugin %q is asked for twice: one of the requirements goes.", name))
		}
	}
	before := len(p.problems)
	field := func(key string) (string, bool) {
		if !v.Type().HasAttribute(key) {
			return "", false
		}
		f := v.GetAttr(key)
		return stringOf(f), !f.IsNull() && f.Type() == cty.String
	}
	if version, ok := field("version"); !ok {
		p.problems = append(p.problems, template.ErrorfAt(rng, "No version constraint was set",
			"The plugin %q needs a version, such as version = \">= 1.0.0\".", name))
	} else if _, err := template.VersionFits("1.0.0", version); err != nil {
		p.problems = append(p.problems, template.ErrorfAt(rng, "Invalid version constraint",
			"This string does not use correct version constraint syntax: %v.", err))
	} else if strings.Contains(strings.TrimLeft(version, "<>=!~ "), "-") {
		p.problems = append(p.problems, template.ErrorAt(rng, "Invalid version constraint",
			"Unsupported prerelease for constraint: plugins are asked for by release."))
	}
	if src, ok := field("source"); !ok {
		p.problems = append(p.problems, template.ErrorfAt(rng, "No source was set",
			"The plugin %q needs a source, such as source = \"github.com/hashicorp/%s\".", name, name))
	} else if !address.MatchString(src) || strings.Contains(src, "://") {
		p.problems = append(p.problems, template.ErrorfAt(rng, "Failed to parse source",
			"%q is no plugin address of the form host/owner/name.", src))
	} else if strings.HasPrefix(src[strings.LastIndex(src, "/")+1:], "packer-") {
		p.problems = append(p.problems, template.ErrorfAt(rng, "Failed to parse source",
			"%q: the name of the plugin is given without the prefix packer-plugin-.", src))
	}
	if len(p.problems) == before {
		version, _ := field("version")
		src, _ := field("source")
		p.plugins = append(p.plugins, template.Plugin{Accessor: name, Source: src, Version: version})
	}
}

func stringOf(v cty.Value) string {
	v, _ = v.Unmark()
	if v.IsNull() || !v.IsKnown() || v.Type() != cty.String {
		return ""
	}
	return v.AsString()
}

// Validate is what is wrong beyond the syntax.
func (sc *scope) Validate() hcl.Diagnostics { return slices.Concat(sc.doubled, sc.late) }
