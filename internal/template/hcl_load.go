package template

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyfunction "github.com/zclconf/go-cty/cty/function"

	"kiln/internal/template/function"
	"kiln/schema"
)

// hclTemplate is an HCL2 template as it is written.
type hclTemplate struct {
	Options
	files  *sources
	parser *hclparse.Parser
	dir    string // path.root
	t      *Template

	variables map[string]*hclVariable
	order     []string // names of variables as declared
	locals    map[string]*hclLocal
	data      map[[2]string]*hclData
	sources   map[[2]string]*hcl.Block
	builders  []*hcl.Block // build blocks
	registry  *hcl.Block
	problems  hcl.Diagnostics
	late      hcl.Diagnostics // found only when the template is resolved: inspect and -syntax-only do not see them

	sourceOrder [][2]string
	expanded    map[[2]string][]*hclSource // instances, by the name of their block and by their own
	modules     []*hclModule
	outputs     []*hclLocal
	steps       map[string]*hcl.Block // shared provisioners
	artifacts   *artifacts
	inside      []string             // folders of the modules that this one is in
	settled     map[string]cty.Value // variables of the context, once all are resolved

	functions func() map[string]ctyfunction.Function
}

// rootSchema is all that may stand at the root of a file.
var rootSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "packer"}, {Type: "kiln"}, {Type: "variable", LabelNames: []string{"name"}}, {Type: "variables"}, {Type: "locals"},
	{Type: "local", LabelNames: []string{"name"}}, {Type: "data", LabelNames: []string{"type", "name"}},
	{Type: "source", LabelNames: []string{"type", "name"}}, {Type: "build"}, {Type: "hcp_packer_registry"},
	{Type: "communicator", LabelNames: []string{"type", "name"}},
	{Type: "module", LabelNames: []string{"name"}}, {Type: "output", LabelNames: []string{"name"}}, {Type: "steps", LabelNames: []string{"name"}},
}}

var rootNames = []string{"packer", "kiln", "variable", "variables", "locals", "local", "data", "source", "build", "hcp_packer_registry", "communicator", "module", "output", "steps"}

// loadHCL reads an HCL2 template from its files: phases 1 to 6 of docs/compat/templates.md 3.2.
func loadHCL(ctx context.Context, o Options, paths []string) (*Template, Diagnostics) {
	folder := len(paths) > 0 && !IsHCL(o.Path)
	dir := "."
	switch {
	case folder:
		dir = display(o.Path)
	case len(paths) > 0:
		dir = display(filepath.Dir(o.Path))
	}
	h := newHCL(o, dir)
	if real, err := filepath.Abs(dir); err == nil && folder {
		h.inside = []string{real}
	}
	h.readFiles(paths)
	if len(h.t.Sources) < len(paths) {
		return nil, h.files.convert(h.problems).tidy()
	}
	h.readValues(folder)
	h.describeValues()
	diags := h.files.convert(h.problems)
	if diags.HasErrors() && o.Thorough {
		// What else is wrong is told in the same go; nothing outside is asked for it.
		h.EvaluateData = false
		_, more := h.builds(ctx)
		diags = append(diags, more...)
	}
	return h.t, diags.tidy()
}

// newHCL is a template whose files have not been read.
func newHCL(o Options, dir string) *hclTemplate {
	h := &hclTemplate{Options: o, files: newSources(), parser: hclparse.NewParser(), dir: dir, variables: map[string]*hclVariable{},
		locals: map[string]*hclLocal{}, data: map[[2]string]*hclData{}, sources: map[[2]string]*hcl.Block{}, steps: map[string]*hcl.Block{}, artifacts: newArtifacts()}
	h.functions = sync.OnceValue(func() map[string]ctyfunction.Function {
		return function.Functions(function.Options{Dir: h.dir, Start: o.Start, Secrets: o.Secrets})
	})
	h.t = &Template{Path: o.Path, Dir: h.dir, Format: HCL2, load: h}
	return h
}

// readFiles reads files and the blocks in them.
func (h *hclTemplate) readFiles(paths []string) {
	var bodies []hcl.Body
	for _, path := range paths {
		if f := h.parse(path); f != nil {
			bodies = append(bodies, f.Body)
			h.t.Sources = append(h.t.Sources, SourceFile{display(path), f.Bytes})
		}
	}
	if h.problems.HasErrors() {
		return
	}
	for _, body := range bodies {
		h.readFile(body)
	}
}

// parse reads one file in the syntax that its name says. Nil: it cannot be read.
func (h *hclTemplate) parse(path string) *hcl.File {
	name := display(path)
	text, err := readTemplate(path)
	if err != nil {
		h.problems = append(h.problems, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Cannot read the file", Detail: err.Error()})
		return nil
	}
	h.files.text[name] = text
	if d := deep(name, text); d != nil {
		h.problems = append(h.problems, d)
		return nil
	}
	var f *hcl.File
	var diags hcl.Diagnostics
	if strings.HasSuffix(name, ".json") {
		f, diags = h.parser.ParseJSON(text, name)
	} else {
		f, diags = h.parser.ParseHCL(text, name)
	}
	h.problems = append(h.problems, diags...)
	h.files.hcl[name] = f
	if diags.HasErrors() {
		return nil
	}
	return f
}

// maxDepth bounds the nesting of brackets: the parser is recursive.
const maxDepth = 1000

// deep refuses text whose brackets nest deeper than any template's.
func deep(name string, text []byte) *hcl.Diagnostic {
	depth := 0
	for i, c := range text {
		switch c {
		case '(', '[', '{', '!', '-':
			if c == '!' || c == '-' {
				// A row of signs nests too.
				if i > 0 && text[i-1] == c {
					depth++
				}
				continue
			}
			depth++
		case ')', ']', '}':
			depth = max(0, depth-1)
		case '\n':
			if i > 0 && (text[i-1] == '-' || text[i-1] == '!') {
				depth = 0
			}
		}
		if depth > maxDepth {
			pos := hcl.Pos{Line: 1 + strings.Count(string(text[:i]), "\n"), Column: 1, Byte: i}
			return errorAt(hcl.Range{Filename: name, Start: pos, End: pos}, "Too deeply nested", "Expressions cannot nest this deep.")
		}
	}
	return nil
}

func (h *hclTemplate) readFile(body hcl.Body) {
	content, diags := body.Content(rootSchema)
	for _, d := range diags {
		if name := quotedName(d.Detail); name != "" && d.Summary == "Unsupported block type" {
			if near := schema.Suggest(name, rootNames); near != "" && !strings.Contains(d.Detail, "Did you mean") {
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
	h.problems = append(h.problems, diags...)
	for _, blk := range content.Blocks {
		h.readBlock(blk)
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

func (h *hclTemplate) readBlock(blk *hcl.Block) {
	for i, label := range blk.Labels {
		if !hclsyntax.ValidIdentifier(label) {
			h.problems = append(h.problems, errorf(blk.LabelRanges[i], "Invalid "+blk.Type+" name",
				"%q is no valid name: a name begins with a letter or underscore and has letters, digits, underscores and dashes.", label))
			return
		}
	}
	switch blk.Type {
	case "packer":
		h.readPacker(blk, h.PackerVersion, "Packer Core")
	case "kiln":
		h.readPacker(blk, h.KilnVersion, "Kiln")
	case "variable":
		h.readVariable(blk)
	case "variables":
		h.readVariables(blk)
	case "local":
		h.readLocal(blk)
	case "locals":
		h.readLocals(blk)
	case "data":
		h.readData(blk)
	case "source":
		key := [2]string{blk.Labels[0], blk.Labels[1]}
		if old := h.sources[key]; old != nil {
			h.late = append(h.late, errorf(blk.DefRange, "Duplicate source block",
				"This source block has the same type and name as a previous block declared at %s. Each source must have a unique name per builder type.", old.DefRange))
			return
		}
		h.sources[key] = blk
		h.sourceOrder = append(h.sourceOrder, key)
	case "module":
		h.readModule(blk)
	case "output":
		h.readOutput(blk)
	case "steps":
		h.readSteps(blk)
	case "build":
		h.builders = append(h.builders, blk)
	case "hcp_packer_registry":
		if h.registry != nil {
			h.problems = append(h.problems, errorAt(blk.DefRange, "Only one hcp_packer_registry is allowed", ""))
		}
		h.registry = blk
	}
}

var packerSchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "required_version"}}, Blocks: []hcl.BlockHeaderSchema{{Type: "required_plugins"}}}

// readPacker checks the versions that a template asks for.
func (h *hclTemplate) readPacker(blk *hcl.Block, have, what string) {
	content, diags := blk.Body.Content(packerSchema)
	h.problems = append(h.problems, diags...)
	if attr := content.Attributes["required_version"]; attr != nil {
		v, diags := attr.Expr.Value(nil)
		h.problems = append(h.problems, diags...)
		if diags.HasErrors() {
			return
		}
		if v.Type() != cty.String || v.IsNull() {
			h.problems = append(h.problems, errorAt(attr.Expr.Range(), "Invalid version constraint", "A string value is required for required_version."))
			return
		}
		switch ok, err := versionFits(have, v.AsString()); {
		case err != nil:
			h.problems = append(h.problems, errorf(attr.Expr.Range(), "Invalid version constraint", "This string does not use correct version constraint syntax: %v.", err))
		case !ok:
			h.problems = append(h.problems, errorf(attr.Expr.Range(), "Unsupported "+what+" version",
				"This configuration does not support %s version %s. To proceed, either choose another supported version or update this version constraint.", what, have))
		}
	}
	for _, b := range content.Blocks {
		h.readPlugins(b)
	}
}

var (
	accessor = regexp.MustCompile(`^[0-9A-Za-z](?:[0-9A-Za-z-]*[0-9A-Za-z])?$`)
	source   = regexp.MustCompile(`^[^/?#\s]+(/[^/?#\s]+){2,15}$`)
)

// readPlugins checks the form of plugin requirements. What they would bring is
// built in, or reported where it is used.
func (h *hclTemplate) readPlugins(blk *hcl.Block) {
	attrs, diags := blk.Body.JustAttributes()
	h.problems = append(h.problems, diags...)
	for name, attr := range attrs {
		if !accessor.MatchString(name) {
			h.problems = append(h.problems, errorf(attr.NameRange, "Invalid plugin requirement", "%q is no valid local name: letters, digits and dashes.", name))
			continue
		}
		v, diags := attr.Expr.Value(nil)
		h.problems = append(h.problems, diags...)
		if diags.HasErrors() {
			continue
		}
		if !v.Type().IsObjectType() {
			h.problems = append(h.problems, errorf(attr.Expr.Range(), "Invalid plugin requirement",
				"'%s' plugin requirement calls are possible only using an object: %s = { version = \">= 1.0.0\", source = \"github.com/hashicorp/%s\" }.", name, name, name))
			continue
		}
		for key := range v.Type().AttributeTypes() {
			if key != "version" && key != "source" {
				h.problems = append(h.problems, errorf(attr.Expr.Range(), "Invalid plugin requirement", "%q is neither version nor source.", key))
			}
		}
		h.checkRequirement(name, v, attr.Expr.Range())
	}
}

func (h *hclTemplate) checkRequirement(name string, v cty.Value, rng hcl.Range) {
	for _, old := range h.t.Plugins {
		if old.Accessor == name {
			h.problems = append(h.problems, errorf(rng, fmt.Sprintf("Duplicate required_plugin.%q block", name), "The plugin %q is asked for twice.", name))
		}
	}
	before := len(h.problems)
	field := func(key string) (string, bool) {
		if !v.Type().HasAttribute(key) {
			return "", false
		}
		f := v.GetAttr(key)
		return stringOf(f), !f.IsNull() && f.Type() == cty.String
	}
	if version, ok := field("version"); !ok {
		h.problems = append(h.problems, errorf(rng, "No version constraint was set", "The plugin %q needs a version, such as version = \">= 1.0.0\".", name))
	} else if _, err := versionFits("1.0.0", version); err != nil {
		h.problems = append(h.problems, errorf(rng, "Invalid version constraint", "This string does not use correct version constraint syntax: %v.", err))
	} else if strings.Contains(strings.TrimLeft(version, "<>=!~ "), "-") {
		h.problems = append(h.problems, errorAt(rng, "Invalid version constraint", "Unsupported prerelease for constraint: plugins are asked for by release."))
	}
	if src, ok := field("source"); !ok {
		h.problems = append(h.problems, errorf(rng, "No source was set", "The plugin %q needs a source, such as source = \"github.com/hashicorp/%s\".", name, name))
	} else if !source.MatchString(src) || strings.Contains(src, "://") {
		h.problems = append(h.problems, errorf(rng, "Failed to parse source", "%q is no plugin address of the form host/owner/name.", src))
	} else if strings.HasPrefix(src[strings.LastIndex(src, "/")+1:], "packer-") {
		h.problems = append(h.problems, errorf(rng, "Failed to parse source", "%q: the name of the plugin is given without the prefix packer-plugin-.", src))
	}
	if len(h.problems) == before {
		version, _ := field("version")
		src, _ := field("source")
		h.t.Plugins = append(h.t.Plugins, Plugin{name, src, version})
	}
}

func stringOf(v cty.Value) string {
	v, _ = v.Unmark()
	if v.IsNull() || !v.IsKnown() || v.Type() != cty.String {
		return ""
	}
	return v.AsString()
}

func (h *hclTemplate) validate() Diagnostics { return h.files.convert(h.late).tidy() }
