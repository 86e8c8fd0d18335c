package template

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"kiln/schema"
)

// hclModule is another folder's blocks, with inputs: Kiln's own addition.
type hclModule struct {
	name   string
	blk    *hcl.Block
	inputs hcl.Attributes
	child  *hclTemplate
	value  cty.Value // its outputs, once they are computed
}

// maxModules bounds how deep modules nest.
const maxModules = 16

// readModule reads a module block and the folder that it names.
func (h *hclTemplate) readModule(blk *hcl.Block) {
	name := blk.Labels[0]
	if slices.ContainsFunc(h.modules, func(m *hclModule) bool { return m.name == name }) {
		h.problems = append(h.problems, errorf(blk.DefRange, "Duplicate module block", "There is another module %q.", name))
		return
	}
	attrs, diags := blk.Body.JustAttributes()
	h.problems = append(h.problems, diags...)
	attr := attrs["source"]
	if attr == nil {
		h.problems = append(h.problems, errorAt(blk.DefRange, "Missing source of module", `A module needs a source: the folder of its .pkr.hcl files, such as source = "./modules/base".`))
		return
	}
	delete(attrs, "source")
	v, diags := attr.Expr.Value(nil)
	h.problems = append(h.problems, diags...)
	path := stringOf(v)
	if diags.HasErrors() {
		return
	}
	if path == "" || strings.Contains(path, "://") {
		h.problems = append(h.problems, errorAt(attr.Expr.Range(), "Invalid source of module", "The source of a module is a folder of this machine, relative to the template's."))
		return
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(h.dir, path)
	}
	child := h.loadModule(path, attr.Expr.Range())
	if child != nil {
		h.modules = append(h.modules, &hclModule{name: name, blk: blk, inputs: attrs, child: child})
	}
}

// loadModule loads the folder of a module.
func (h *hclTemplate) loadModule(path string, rng hcl.Range) *hclTemplate {
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	var info os.FileInfo
	if err == nil {
		info, err = os.Stat(real)
	}
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no folder", path)
	}
	if err != nil {
		h.problems = append(h.problems, errorAt(rng, "Cannot read the module", err.Error()))
		return nil
	}
	if slices.Contains(h.inside, real) {
		h.problems = append(h.problems, errorf(rng, "Module cycle", "The module is inside itself: %s.", strings.Join(append(h.inside, real), " -> ")))
		return nil
	}
	if len(h.inside) > maxModules {
		h.problems = append(h.problems, errorf(rng, "Modules nest too deep", "More than %d modules are inside each other.", maxModules))
		return nil
	}
	o := h.Options
	o.Path, o.Vars, o.VarFiles = path, nil, nil
	// Its variables are inputs; their defaults may still ask for the environment.
	o.Environ = slices.DeleteFunc(slices.Clone(h.Environ), func(kv string) bool { return strings.HasPrefix(kv, "PKR_VAR_") })
	paths, diags := templateFiles(path)
	if diags.HasErrors() {
		h.problems = append(h.problems, errorAt(rng, diags[0].Summary, diags[0].Detail))
		return nil
	}
	child := newHCL(o, display(path))
	child.files, child.parser, child.artifacts, child.inside = h.files, h.parser, h.artifacts, append(slices.Clone(h.inside), real)
	child.readFiles(paths)
	if !child.problems.HasErrors() {
		child.readValues(false)
	}
	h.problems = append(h.problems, child.problems...)
	h.t.Sources = append(h.t.Sources, child.t.Sources...)
	h.t.Plugins = append(h.t.Plugins, child.t.Plugins...)
	child.t.Plugins = h.t.Plugins
	return child
}

func (h *hclTemplate) module(name string) *hclModule {
	for _, m := range h.modules {
		if m.name == name {
			return m
		}
	}
	return nil
}

// computeModule gives a module its inputs, resolves it and takes its outputs.
func (h *hclTemplate) computeModule(ctx context.Context, m *hclModule) (diags hcl.Diagnostics) {
	eval := h.context(nil)
	m.child.EvaluateData = h.EvaluateData
	for _, attr := range inOrder(m.inputs) {
		v := m.child.variables[attr.Name]
		if v == nil {
			hint := ""
			if near := schema.Suggest(attr.Name, m.child.order); near != "" {
				hint = fmt.Sprintf(" Did you mean %q?", near)
			}
			diags = append(diags, errorf(attr.NameRange, "Unknown input of module", "The module %q has no variable %q.%s", m.name, attr.Name, hint))
			continue
		}
		val, more := attr.Expr.Value(eval)
		diags = append(diags, h.hints(more)...)
		if more.HasErrors() {
			v.value = cty.UnknownVal(v.typ)
			continue
		}
		before := len(m.child.problems)
		m.child.set(v, val, "module", "Invalid value for variable", "module "+m.name, attr.Expr.Range())
		diags = append(diags, m.child.problems[before:]...)
	}
	diags = append(diags, m.child.resolveAll(ctx)...)
	out := map[string]cty.Value{}
	childCtx := m.child.context(nil)
	for _, o := range m.child.outputs {
		v, more := o.expr.Value(childCtx)
		diags = append(diags, m.child.hints(more)...)
		if more.HasErrors() {
			v = cty.DynamicVal
		}
		out[o.name] = v
		if o.sensitive && !more.HasErrors() {
			hideAll(v, h.Hide)
		}
	}
	m.value = cty.ObjectVal(out)
	return diags
}

// readOutput reads a value that a template gives to those that have it as a module.
func (h *hclTemplate) readOutput(blk *hcl.Block) {
	content, diags := blk.Body.Content(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "value", Required: true}, {Name: "sensitive"}, {Name: "description"}}})
	h.problems = append(h.problems, diags...)
	if slices.ContainsFunc(h.outputs, func(o *hclLocal) bool { return o.name == blk.Labels[0] }) {
		h.problems = append(h.problems, errorf(blk.DefRange, "Duplicate output block", "There is another output %q.", blk.Labels[0]))
		return
	}
	o := &hclLocal{name: blk.Labels[0], rng: blk.DefRange}
	if attr := content.Attributes["sensitive"]; attr != nil {
		v, diags := attr.Expr.Value(nil)
		h.problems = append(h.problems, diags...)
		o.sensitive = !diags.HasErrors() && v.Type() == cty.Bool && v.IsKnown() && !v.IsNull() && v.True()
	}
	if attr := content.Attributes["value"]; attr != nil {
		o.expr = attr.Expr
		h.outputs = append(h.outputs, o)
	}
}

// readSteps reads a block of provisioners that builds share.
func (h *hclTemplate) readSteps(blk *hcl.Block) {
	if h.steps[blk.Labels[0]] != nil {
		h.problems = append(h.problems, errorf(blk.DefRange, "Duplicate steps block", "There is another steps block %q.", blk.Labels[0]))
		return
	}
	h.steps[blk.Labels[0]] = blk
}

// shared finds a steps block by its reference: NAME, or module.MODULE.NAME.
func (h *hclTemplate) shared(ref string, rng hcl.Range) (*hclTemplate, *hcl.Block, *hcl.Diagnostic) {
	owner, name := h, ref
	if rest, ok := strings.CutPrefix(ref, "module."); ok {
		var m string
		m, name, _ = strings.Cut(rest, ".")
		mod := h.module(m)
		if mod == nil {
			return nil, nil, errorf(rng, "Unknown module", "There is no module %q.", m)
		}
		owner = mod.child
	}
	if blk := owner.steps[name]; blk != nil {
		return owner, blk, nil
	}
	var known []string
	for n := range owner.steps {
		known = append(known, n)
	}
	slices.Sort(known)
	detail := fmt.Sprintf("There is no steps block %q. Known: %v", ref, known)
	if near := schema.Suggest(name, known); near != "" {
		detail = fmt.Sprintf("There is no steps block %q. Did you mean %q?", ref, near)
	}
	return nil, nil, errorAt(rng, "Unknown steps "+ref, detail)
}

// addShared puts the provisioners of a shared block at its place in a build.
func (b *hclBuild) addShared(h *hclTemplate, sub *hcl.Block, ctx *hcl.EvalContext) (diags hcl.Diagnostics) {
	if len(b.nested) > maxModules {
		return hcl.Diagnostics{errorf(sub.DefRange, "Steps cycle", "Steps blocks are inside each other: %s.", strings.Join(b.nested, " -> "))}
	}
	attrs, more := sub.Body.JustAttributes()
	diags = append(diags, more...)
	for _, a := range attrs {
		diags = append(diags, errorf(a.NameRange, "Unsupported argument", "A steps block of a build has no arguments; inputs belong to the module."))
	}
	owner, blk, bad := h.shared(sub.Labels[0], sub.LabelRanges[0])
	if bad != nil {
		return append(diags, bad)
	}
	content, more := expand(blk.Body, owner.stepsContext(ctx)).Content(stepsSchema)
	diags = append(diags, more...)
	for _, inner := range content.Blocks {
		if inner.Type == "steps" {
			b.nested = append(b.nested, sub.Labels[0])
			diags = append(diags, b.addShared(owner, inner, ctx)...)
			b.nested = b.nested[:len(b.nested)-1]
			continue
		}
		s, more := owner.readStep(inner, owner.stepsContext(ctx), true)
		diags = append(diags, more...)
		s.owner = owner
		b.steps = append(b.steps, s)
	}
	return diags
}

// stepsContext is this template's context with what the build that uses it knows.
func (h *hclTemplate) stepsContext(build *hcl.EvalContext) *hcl.EvalContext {
	more := map[string]cty.Value{}
	for _, name := range []string{"build", "each", "matrix"} {
		if v, ok := build.Variables[name]; ok {
			more[name] = v
		}
	}
	return h.context(more)
}

var stepsSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "provisioner", LabelNames: []string{"type"}}, {Type: "steps", LabelNames: []string{"reference"}}}}
