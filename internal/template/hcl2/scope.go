package hcl2

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"kiln"
	"kiln/internal/template"
	"kiln/internal/template/interpolate"
	"kiln/schema"
)

// scope is the values of a template's names: variables, locals, data sources and
// the outputs of modules.
type scope struct {
	*parsed
	t            *template.Template // nil: this is a module
	place        string             // of a module: "module.NAME."
	called       *module            // the block that has it as a module
	evaluateData bool
	problems     hcl.Diagnostics
	unread       bool // a variable file could not be read

	vars      map[string]given
	computed  map[string]cty.Value // locals
	read      map[[2]string]cty.Value
	children  map[string]*scope    // of the modules
	outs      map[string]cty.Value // of the modules
	expanded  map[[2]string][]*source
	artifacts *artifacts
	settled   *hcl.EvalContext // once all is resolved
}

// newScope is a scope in which variables have their defaults.
func newScope(p *parsed, a *artifacts, place string) *scope {
	sc := &scope{parsed: p, place: place, evaluateData: p.EvaluateData, artifacts: a,
		vars: map[string]given{}, computed: map[string]cty.Value{},
		read: map[[2]string]cty.Value{}, children: map[string]*scope{}, outs: map[string]cty.Value{}}
	for name, v := range p.variables {
		sc.vars[name] = v.initial
	}
	for _, m := range p.modules {
		sc.children[m.name] = newScope(m.child, a, place+"module."+m.name+".")
	}
	return sc
}

// values are the values of all names, as far as they are known; of those that an
// expression refers to where its references are given.
func (sc *scope) values(refs ...hcl.Traversal) map[string]cty.Value {
	vars, locals, modules := map[string]cty.Value{}, map[string]cty.Value{}, map[string]cty.Value{}
	for _, name := range wanted(sc.variables, "var", refs) {
		vars[name] = sc.variable(name)
	}
	for _, name := range wanted(sc.locals, "local", refs) {
		locals[name] = orUnknown(sc.computed[name], cty.DynamicPseudoType)
	}
	data := map[string]map[string]cty.Value{}
	for key := range sc.data {
		if data[key[0]] == nil {
			data[key[0]] = map[string]cty.Value{}
		}
		data[key[0]][key[1]] = orUnknown(sc.read[key], cty.DynamicPseudoType)
	}
	types := map[string]cty.Value{}
	for typ, names := range data {
		types[typ] = cty.ObjectVal(names)
	}
	for _, m := range sc.modules {
		modules[m.name] = orUnknown(sc.outs[m.name], cty.DynamicPseudoType)
	}
	all := map[string]cty.Value{
		"var": cty.ObjectVal(vars), "local": cty.ObjectVal(locals), "data": cty.ObjectVal(types),
		"path": cty.ObjectVal(map[string]cty.Value{"root": cty.StringVal(sc.dir),
			"cwd": cty.StringVal(filepath.ToSlash(sc.World.Cwd()))}),
		"packer": cty.ObjectVal(map[string]cty.Value{"version": cty.StringVal(sc.PackerVersion),
			"versionFingerprint": cty.UnknownVal(cty.String), "iterationID": cty.UnknownVal(cty.String)}),
	}
	if len(modules) > 0 {
		all["module"] = cty.ObjectVal(modules)
	}
	return all
}

// variable is a variable's value, as far as it is known.
func (sc *scope) variable(name string) cty.Value {
	v := sc.variables[name]
	val := orUnknown(sc.vars[name].value, v.typ)
	if v.sensitive {
		return schema.Sensitive(val)
	}
	return val
}

// wanted are the names of a map that references beginning with root refer to; all of
// them where there are no references, or one to the whole.
func wanted[T any](all map[string]T, root string, refs []hcl.Traversal) []string {
	var names []string
	for _, t := range refs {
		if t.RootName() != root {
			continue
		}
		name := step(t, 1)
		if name == "" {
			return slices.Collect(maps.Keys(all))
		}
		if _, ok := all[name]; ok {
			names = append(names, name)
		}
	}
	if refs == nil {
		return slices.Collect(maps.Keys(all))
	}
	return names
}

func orUnknown(v cty.Value, ty cty.Type) cty.Value {
	if v == cty.NilVal {
		return cty.UnknownVal(ty)
	}
	return v
}

// context is what expressions may refer to: what is declared, and more values.
func (sc *scope) context(more map[string]cty.Value) *hcl.EvalContext {
	root := sc.settled
	if root == nil {
		root = &hcl.EvalContext{Functions: sc.functions(), Variables: sc.values()}
	}
	ctx := root.NewChild()
	ctx.Functions = root.Functions // hcl suggests names of the innermost context only
	ctx.Variables = map[string]cty.Value{}
	maps.Copy(ctx.Variables, more)
	return ctx
}

// interpolation is what {{ }} text may use in an HCL2 template.
func (sc *scope) interpolation(name, typ string) *interpolate.Context {
	return &interpolate.Context{NoUser: true, BuildName: name, BuildType: typ,
		PackerVersion: sc.PackerVersion, Start: sc.Start, World: sc.World,
		Hiding: &interpolate.Hiding{Hide: sc.Hide, Secret: sc.Secret}}
}

// resolveAll gives every variable, local, data source, module and source its value.
func (sc *scope) resolveAll(ctx context.Context) hcl.Diagnostics {
	sc.settled = nil
	diags := append(sc.Validate(), sc.checkVariables()...)
	diags = append(diags, sc.evaluate(ctx)...)
	sc.settled = &hcl.EvalContext{Functions: sc.functions(), Variables: sc.values()}
	return append(diags, sc.expandSources()...)
}

// Spec resolves everything and lists the builds: phases 8 to 11 of docs/compat/templates.md 3.2.
func (sc *scope) Spec(ctx context.Context) (*template.Spec, hcl.Diagnostics) {
	diags := sc.resolveAll(ctx)
	sc.hideMade()
	sc.describeValues()
	sc.t.Blocks = nil
	sc.artifacts.clear()
	all, more := sc.builds("", sc.t)
	diags = append(diags, more...)
	if len(sc.parsed.builds) == 0 && len(all) == 0 {
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Missing build block",
			Detail: "A build block with one or more sources is required for executing a build."})
	}
	if sc.registry != nil {
		diags = append(diags, sc.checkRegistry(sc.registry, sc.context(nil), false)...)
	}
	open := slices.ContainsFunc(diags, func(d *hcl.Diagnostic) bool { return d.Extra == openInstances{} })
	return &template.Spec{Builds: all, Globs: true, Whole: true, Open: open}, sc.hints(diags)
}

// builds lists the builds of a template and of its modules, and describes the
// blocks for inspect.
func (sc *scope) builds(prefix string, t *template.Template) (all []*template.BuildSpec,
	diags hcl.Diagnostics) {
	for _, blk := range sc.parsed.builds {
		builds, more := sc.readBuilds(blk, prefix)
		diags = append(diags, more...)
		for _, b := range builds {
			w := b.works[0]
			block := template.Describe(b.name, b.description, b.shown, w.steps, w.cleanup, w.chains)
			t.Blocks = append(t.Blocks, block)
			for _, u := range b.uses {
				all = append(all, sc.spec(b, u))
			}
		}
	}
	for _, m := range sc.modules {
		sub, more := sc.children[m.name].builds(instance{key: m.name}.named(prefix), t)
		all, diags = append(all, sub...), append(diags, more...)
	}
	return all, diags
}

// spec is the build of one source.
func (sc *scope) spec(b *build, u use) *template.BuildSpec {
	name, id := u.typ+"."+u.alias, u.typ+"."+u.alias
	if b.name != "" {
		name = b.name + "." + name
	}
	spec := &template.BuildSpec{
		Name: name, Source: u.name, Alias: u.alias, Select: name, Only: id, Own: u.alias,
		Steps: u.work.steps, Cleanup: u.work.cleanup, Chains: u.work.chains, Range: b.blk.DefRange,
		Scope: &buildScope{sc: sc, text: sc.interpolation(u.name, u.typ), b: b, u: u},
	}
	if sc.artifacts.add(b.name, u.alias, name) {
		spec.Publish = func(a *kiln.Artifact) { sc.artifacts.publish(name, a) }
	}
	if u.src == nil {
		return spec
	}
	body, owner := u.src.body, u.src.owner
	if u.body != nil {
		body = hcl.MergeBodies([]hcl.Body{body, u.body})
	}
	blk := u.src.blk
	spec.Builder = &template.Step{Kind: template.KindBuilder, Name: u.alias, Type: owner.resolve(u.typ),
		Written: u.typ, TypeRange: blk.LabelRanges[0], Body: body, Range: blk.DefRange,
		Of: newOrigin(owner, u.src.body, u.body)}
	return spec
}

// resolve is a component's type as it is known: a required_plugins block can give
// the components of a plugin another prefix.
func (sc *scope) resolve(typ string) string {
	for _, p := range sc.plugins {
		name := p.Source[strings.LastIndex(p.Source, "/")+1:]
		rest, ok := strings.CutPrefix(typ, p.Accessor)
		if ok && p.Accessor != name && (rest == "" || rest[0] == '-') {
			return name + rest
		}
	}
	return typ
}

// unknownType says of a type that no component has what it is. Noun is what it should be.
func (sc *scope) unknownType(noun, typ string, known []string) string {
	for _, p := range sc.plugins {
		if typ == p.Accessor || strings.HasPrefix(typ, p.Accessor+"-") {
			return fmt.Sprintf("The %s %s belongs to the plugin %s, which is required here; this version cannot "+
				"run plugins.", noun, typ, p.Source)
		}
	}
	return template.UnknownType(noun, typ, known)
}

// origin is where a body comes from: whose values it may refer to.
type origin struct {
	scope  *scope
	bodies []hcl.Body
	// The body refers to artifacts of other builds, or to what the build generates.
	artifacts, build bool
}

func newOrigin(sc *scope, bodies ...hcl.Body) *origin {
	o := &origin{scope: sc}
	for _, b := range bodies {
		if b == nil {
			continue
		}
		o.bodies = append(o.bodies, b)
		for _, t := range bodyVariables(b) {
			o.artifacts = o.artifacts || t.RootName() == "artifact"
			o.build = o.build || t.RootName() == "build"
		}
	}
	return o
}

// buildScope is what the text of one build may refer to.
type buildScope struct {
	sc      *scope
	text    *interpolate.Context
	b       *build
	u       use
	once    sync.Once
	unknown cty.Value // what the build generates, while nothing is known
}

// Open is the body with its dynamic blocks made, and the values of this build.
func (bs *buildScope) Open(s *template.Step, keys []string, data map[string]any) (hcl.Body,
	*hcl.EvalContext) {
	ctx := bs.context(s, keys, data)
	return expand(s.Body, ctx), ctx
}

// context is what a component's body may refer to. Only what is not the builder
// sees what the build generates.
func (bs *buildScope) context(s *template.Step, keys []string, data map[string]any) *hcl.EvalContext {
	o := s.Of.(*origin)
	source := map[string]cty.Value{"name": cty.StringVal(bs.u.alias), "type": cty.StringVal(bs.u.typ)}
	more := bs.b.with(bs.u.vars(map[string]cty.Value{"source": cty.ObjectVal(source)}))
	if o.artifacts {
		more["artifact"] = bs.sc.artifacts.value()
	}
	switch {
	case s.Kind == template.KindBuilder:
		more = bs.u.vars(more) // its own win there
	case !o.build:
	case data == nil:
		bs.once.Do(func() { bs.unknown = bs.generated(keys, nil) })
		more["build"] = bs.unknown
	default:
		more["build"] = bs.generated(keys, data)
	}
	return o.scope.context(more)
}

// generated is what the build generates, as expressions see it. No data: nothing is
// known yet; no keys: not even what there will be.
func (bs *buildScope) generated(keys []string, data map[string]any) cty.Value {
	if keys == nil {
		return cty.DynamicVal
	}
	build := map[string]cty.Value{"name": cty.StringVal(bs.b.name)}
	for _, key := range keys {
		build[key] = cty.UnknownVal(cty.String)
		if data == nil {
			continue
		}
		build[key] = cty.StringVal(schema.Placeholder)
		switch v := data[key].(type) {
		case nil:
		case string:
			build[key] = cty.StringVal(v)
		case int:
			build[key] = cty.NumberIntVal(int64(v))
		case bool:
			build[key] = cty.BoolVal(v)
		default:
			build[key] = cty.StringVal(fmt.Sprint(v))
		}
	}
	for _, key := range secretKeys {
		if v, ok := build[key]; ok {
			build[key] = schema.Sensitive(v)
		}
	}
	return cty.ObjectVal(build)
}

// secretKeys are the secrets among what a build generates.
var secretKeys = []string{"Password", "SSHPrivateKey", "WinRMPassword"}

// Text leaves values that the build generates as text for the second rendering.
func (bs *buildScope) Text(s *template.Step, keys []string) (first, second *interpolate.Context) {
	c := *bs.text
	c.Build = template.LaterData(s, keys)
	return &c, bs.text
}

// Render renders text with vars as dot.
func (bs *buildScope) Render(text string, vars map[string]any) (string, error) {
	run := *bs.text
	run.Data = vars
	run.Build = template.BuildData(vars)
	return interpolate.RenderStable(text, &run)
}

// Needs lists the builds whose artifacts the bodies refer to.
func (bs *buildScope) Needs(s *template.Step, keys []string) (builds []string, diags hcl.Diagnostics) {
	o := s.Of.(*origin)
	if !o.artifacts {
		return nil, nil
	}
	for _, body := range o.bodies {
		found, more := bs.sc.artifacts.needs(body, bs.context(s, keys, nil))
		diags = append(diags, bs.sc.hints(more)...)
		for _, name := range found {
			if !slices.Contains(builds, name) {
				builds = append(builds, name)
			}
		}
	}
	return builds, diags
}

// Learned counts the artifacts of other builds.
func (bs *buildScope) Learned(s *template.Step) int {
	if !s.Of.(*origin).artifacts {
		return 0
	}
	return bs.sc.artifacts.count()
}

// Unknown is the diagnostic of a type that no component has.
func (bs *buildScope) Unknown(s *template.Step, known []string) *hcl.Diagnostic {
	sc := s.Of.(*origin).scope
	summary := fmt.Sprintf("Unknown %s type %q", s.Block, s.Written)
	if s.Kind == template.KindBuilder {
		summary = "Unknown source type " + s.Written
	}
	return template.ErrorAt(s.TypeRange, summary, sc.unknownType(s.Kind, s.Written, known))
}

// Explain names the component in problems that do not.
func (bs *buildScope) Explain(s *template.Step, diags hcl.Diagnostics) hcl.Diagnostics {
	on := template.OnProvisioner
	if s.Kind == template.KindPostProcessor {
		on = template.OnPostProcessor
	}
	for _, d := range bs.sc.hints(diags) {
		if d.Summary == "Unsupported argument" && s.Kind != template.KindBuilder &&
			!strings.Contains(d.Detail, "Did you mean") {
			names, _ := attributes(on)
			if near := schema.Suggest(quotedName(d.Detail), names); near != "" {
				d.Detail += fmt.Sprintf(" Did you mean %q?", near)
			}
		}
		switch {
		case d.Summary != "":
		case s.Kind == template.KindBuilder:
			d.Summary, d.Detail = d.Detail, ""
		default:
			d.Summary = fmt.Sprintf("Failed preparing %s-block %q %q", s.Kind, s.Type, s.Name)
		}
	}
	return diags
}
