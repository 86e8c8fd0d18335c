package hcl2

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"kiln/internal/template"
	"kiln/schema"
)

// module is another folder's blocks, with inputs: Kiln's own addition.
type module struct {
	name   string
	blk    *hcl.Block
	inputs hcl.Attributes
	child  *parsed
}

// maxModules bounds how deep modules nest.
const maxModules = 16

// readModule reads a module block and the folder that it names.
func (p *parsed) readModule(blk *hcl.Block) {
	name := blk.Labels[0]
	if slices.ContainsFunc(p.modules, func(m *module) bool { return m.name == name }) {
		p.problems = append(p.problems, template.ErrorfAt(blk.DefRange, "Duplicate module block",
			"There is another module %q.", name))
		return
	}
	attrs, diags := blk.Body.JustAttributes()
	p.problems = append(p.problems, diags...)
	attr := attrs["source"]
	if attr == nil {
		p.problems = append(
			p.problems,
			template.ErrorAt(
				blk.DefRange,
				"Missing source of module",
				`A module needs a source: the folder of its .pkr.hcl files, such as source = "./modules/base".`,
			),
		)
		return
	}
	delete(attrs, "source")
	v, diags := attr.Expr.Value(nil)
	p.problems = append(p.problems, diags...)
	path := stringOf(v)
	if diags.HasErrors() {
		return
	}
	if path == "" || fetched.MatchString(path) {
		p.problems = append(p.problems, template.ErrorAt(attr.Expr.Range(), "Invalid source of module",
			moduleFolders))
		return
	}
	folder := path
	if !filepath.IsAbs(path) {
		folder = filepath.Join(p.dir, path)
	}
	child := p.loadModule(folder, path, attr.Expr.Range())
	if child != nil {
		p.modules = append(p.modules, &module{name: name, blk: blk, inputs: attrs, child: child})
	}
}

// Sources of modules that are no folders, surely or if there is no such folder.
var (
	fetched = regexp.MustCompile(`://|::|^[\w.-]+@[\w.-]+:`)
	distant = regexp.MustCompile(`^[\w-]+(\.[\w-]+)+/|^[\w-]+/[\w-]+/[\w-]+$`)
)

const moduleFolders = "Modules come from folders of this machine: nothing is fetched for them. Clone what is " +
	"elsewhere, with git submodule for example, and name its folder: source = \"./modules/base\"."

// loadModule loads the folder of a module, whose source is written so.
func (p *parsed) loadModule(path, written string, rng hcl.Range) *parsed {
	real, err := p.World.Folder(path)
	if err != nil {
		detail := err.Error()
		if errors.Is(err, fs.ErrNotExist) {
			detail = fmt.Sprintf("There is no folder %s", path)
		}
		switch {
		case distant.MatchString(written):
			detail += ". " + moduleFolders
		case !filepath.IsAbs(written):
			detail += ". A relative source begins in the folder of the template that names it."
		}
		p.problems = append(p.problems, template.ErrorAt(rng, "Cannot read the module", detail))
		return nil
	}
	if slices.Contains(p.inside, real) {
		p.problems = append(p.problems, template.ErrorfAt(rng, "Module cycle",
			"The module is inside itself: %s.", strings.Join(append(p.inside, real), " -> ")))
		return nil
	}
	if len(p.inside) > maxModules {
		p.problems = append(p.problems, template.ErrorfAt(rng, "Modules nest too deep",
			"More than %d modules are inside each other.", maxModules))
		return nil
	}
	o := p.Options
	o.Path, o.Vars, o.VarFiles = path, nil, nil
	// Its variables are inputs; their defaults may still ask for the environment.
	o.Environ = slices.DeleteFunc(slices.Clone(p.Environ), func(kv string) bool {
		return strings.HasPrefix(kv,
			"PKR_VAR_")
	})
	paths, diags := templateFiles(p.World, path)
	if diags.HasErrors() {
		p.problems = append(p.problems, template.ErrorAt(rng, diags[0].Summary, diags[0].Detail))
		return nil
	}
	child := newParsed(o, template.Display(path))
	child.parser, child.inside = p.parser, append(slices.Clone(p.inside), real)
	child.readFiles(paths)
	p.problems = append(p.problems, child.problems...)
	p.files = append(p.files, child.files...)
	p.plugins = append(p.plugins, child.plugins...)
	p.doubled = append(p.doubled, child.doubled...)
	child.plugins = p.plugins
	return child
}

func (p *parsed) module(name string) *module {
	for _, m := range p.modules {
		if m.name == name {
			return m
		}
	}
	return nil
}

// computeModule gives a module its inputs, resolves it and takes its outputs.
func (sc *scope) computeModule(ctx context.Context, m *module) (diags hcl.Diagnostics) {
	eval, child := sc.context(nil), sc.children[m.name]
	child.evaluateData, child.called = sc.evaluateData, m
	for _, attr := range inOrder(m.inputs) {
		v := child.variables[attr.Name]
		if v == nil {
			hint := ""
			if near := schema.Suggest(attr.Name, child.order); near != "" {
				hint = fmt.Sprintf(" Did you mean %q?", near)
			}
			diags = append(diags, template.ErrorfAt(attr.NameRange, "Unknown input of module",
				"The module %q has no variable %q.%s", m.name, attr.Name, hint))
			continue
		}
		val, more := attr.Expr.Value(eval)
		diags = append(diags, sc.hints(more)...)
		if more.HasErrors() {
			child.vars[v.name] = given{value: cty.UnknownVal(v.typ)}
			continue
		}
		before := len(child.problems)
		child.set(v, val, "module", "Invalid value for variable", "module "+m.name, attr.Expr.Range())
		diags = append(diags, child.problems[before:]...)
	}
	diags = append(diags, child.resolveAll(ctx)...)
	out := map[string]cty.Value{}
	childCtx := child.context(nil)
	for _, o := range child.outputs {
		v, more := o.expr.Value(childCtx)
		diags = append(diags, child.hints(more)...)
		if more.HasErrors() {
			v = cty.DynamicVal
		}
		if o.sensitive && !more.HasErrors() {
			hideAll(v, sc.Hide)
			v = schema.Sensitive(v)
		}
		out[o.name] = v
	}
	sc.outs[m.name] = cty.ObjectVal(out)
	return diags
}

// readOutput reads a value that a template gives to those that have it as a module.
func (p *parsed) readOutput(blk *hcl.Block) {
	content, diags := blk.Body.Content(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "value",
		Required: true}, {Name: "sensitive"}, {Name: "description"}}})
	p.problems = append(p.problems, diags...)
	if slices.ContainsFunc(p.outputs, func(o *local) bool { return o.name == blk.Labels[0] }) {
		p.problems = append(p.problems, template.ErrorfAt(blk.DefRange, "Duplicate output block",
			"There is another output %q.", blk.Labels[0]))
		return
	}
	o := &local{name: blk.Labels[0], rng: blk.DefRange}
	if attr := content.Attributes["sensitive"]; attr != nil {
		v, diags := attr.Expr.Value(nil)
		p.problems = append(p.problems, diags...)
		o.sensitive = !diags.HasErrors() && v.Type() == cty.Bool && v.IsKnown() && !v.IsNull() && v.True()
	}
	if attr := content.Attributes["value"]; attr != nil {
		o.expr = attr.Expr
		p.outputs = append(p.outputs, o)
	}
}

// readSteps reads a block of provisioners that builds share.
func (p *parsed) readSteps(blk *hcl.Block) {
	if p.steps[blk.Labels[0]] != nil {
		p.problems = append(p.problems, template.ErrorfAt(blk.DefRange, "Duplicate steps block",
			"There is another steps block %q.", blk.Labels[0]))
		return
	}
	p.steps[blk.Labels[0]] = blk
}

// shared finds a steps block by its reference: NAME, or module.MODULE.NAME.
func (sc *scope) shared(ref string, rng hcl.Range) (*scope, *hcl.Block, *hcl.Diagnostic) {
	owner, name := sc, ref
	if rest, ok := strings.CutPrefix(ref, "module."); ok {
		var m string
		m, name, _ = strings.Cut(rest, ".")
		if owner = sc.children[m]; owner == nil {
			return nil, nil, template.ErrorfAt(rng, "Unknown module", "There is no module %q.", m)
		}
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
	return nil, nil, template.ErrorAt(rng, "Unknown steps "+ref, detail)
}

// addShared puts the provisioners of a shared block at its place in a build.
func (w *work) addShared(sc *scope, sub *hcl.Block, ctx *hcl.EvalContext) (diags hcl.Diagnostics) {
	if len(w.nested) > maxModules {
		return hcl.Diagnostics{template.ErrorfAt(sub.DefRange, "Steps cycle",
			"Steps blocks are inside each other: %s.", strings.Join(w.nested, " -> "))}
	}
	attrs, more := sub.Body.JustAttributes()
	diags = append(diags, more...)
	for _, a := range attrs {
		diags = append(diags, template.ErrorfAt(a.NameRange, "Unsupported argument",
			"A steps block of a build has no arguments; inputs belong to the module."))
	}
	owner, blk, bad := sc.shared(sub.Labels[0], sub.LabelRanges[0])
	if bad != nil {
		return append(diags, bad)
	}
	content, more := expand(blk.Body, owner.stepsContext(ctx)).Content(stepsSchema)
	diags = append(diags, more...)
	for _, inner := range content.Blocks {
		if inner.Type == "steps" {
			w.nested = append(w.nested, sub.Labels[0])
			diags = append(diags, w.addShared(owner, inner, ctx)...)
			w.nested = w.nested[:len(w.nested)-1]
			continue
		}
		s, more := owner.readStep(inner, owner.stepsContext(ctx), template.OnProvisioner)
		diags = append(diags, more...)
		w.steps = append(w.steps, s)
	}
	return diags
}

// stepsContext is this template's context with what the build that uses it knows.
func (sc *scope) stepsContext(build *hcl.EvalContext) *hcl.EvalContext {
	more := map[string]cty.Value{}
	for _, name := range []string{"build", "each", "matrix"} {
		if v, ok := build.Variables[name]; ok {
			more[name] = v
		}
	}
	return sc.context(more)
}

var stepsSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "provisioner",
	LabelNames: []string{"type"}}, {Type: "steps", LabelNames: []string{"reference"}}}}
