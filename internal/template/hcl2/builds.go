package hcl2

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/dynblock"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"kiln/internal/template"
	"kiln/schema"
)

// build is a build block.
type build struct {
	instance
	name, description string
	blk               *hcl.Block
	uses              []use
	named             bool             // it names a source, though maybe one without instances
	shown             []template.Named // sources as inspect lists them, also unknown ones
	works             []*work          // at least one
}

// use is a source that a build block makes an image of.
type use struct {
	src       *source // nil: it does not exist, and the steps are only checked
	typ, name string  // of the source
	alias     string  // name given in the build block; default: the source's
	body      hcl.Body
	rng       hcl.Range
	work      *work
}

// vars adds each or matrix of the source. Of one that does not exist they are not known.
func (u use) vars(more map[string]cty.Value) map[string]cty.Value {
	if u.src == nil {
		return instance{vars: map[string]cty.Value{"each": cty.DynamicVal, "matrix": cty.DynamicVal}}.with(more)
	}
	return u.src.with(more)
}

// work is what a build does to its sources: to all of them, or to one that has each or
// matrix of its own.
type work struct {
	nested  []string // steps blocks that are being read
	steps   []*template.Step
	cleanup *template.Step
	chains  [][]*template.Step
}

// headSchema is what of a build is read before its steps.
var headSchema = &hcl.BodySchema{
	Attributes: []hcl.AttributeSchema{{Name: "name"}, {Name: "description"}, {Name: "sources"}},
	Blocks:     []hcl.BlockHeaderSchema{{Type: "source", LabelNames: []string{"reference"}}},
}

var buildSchema = &hcl.BodySchema{
	Attributes: []hcl.AttributeSchema{{Name: "name"}, {Name: "description"}, {Name: "sources"}},
	Blocks: []hcl.BlockHeaderSchema{{Type: "source", LabelNames: []string{"reference"}}, {Type: "provisioner",
		LabelNames: []string{"type"}},
		{Type: "error-cleanup-provisioner", LabelNames: []string{"type"}}, {Type: "post-processor",
			LabelNames: []string{"type"}},
		{Type: "post-processors"}, {Type: "steps",
			LabelNames: []string{
				"reference",
			}}, {Type: "hcp_packer_registry"}, {Type: "from", LabelNames: []string{"x"}}},
}

var buildNames = []string{"name", "description", "sources", "source", "provisioner",
	"error-cleanup-provisioner", "post-processor", "post-processors", "steps", "matrix", "for_each", "hcp_packer_registry"}

// expand makes the blocks that dynamic blocks stand for. A body without any, as
// nearly all are, is given back as it is.
func expand(body hcl.Body, ctx *hcl.EvalContext) hcl.Body {
	if b, ok := body.(*hclsyntax.Body); ok && !dynamic(b) {
		return body
	}
	return dynblock.Expand(body, ctx)
}

func dynamic(b *hclsyntax.Body) bool {
	return slices.ContainsFunc(b.Blocks, func(blk *hclsyntax.Block) bool {
		return blk.Type == "dynamic" ||
			dynamic(blk.Body)
	})
}

// readBuilds reads the instances of one build block. In a module, their names begin
// with the module's.
func (sc *scope) readBuilds(blk *hcl.Block, prefix string) (all []*build, diags hcl.Diagnostics) {
	made, rest, diags := instancesOf(blk, sc.context(nil))
	for _, i := range made {
		b, more := sc.readBuild(blk, rest, i, prefix)
		all, diags = append(all, b), append(diags, more...)
	}
	return all, diags
}

// readBuild reads one build block, or one instance of it.
func (sc *scope) readBuild(blk *hcl.Block, body hcl.Body, i instance, prefix string) (*build,
	hcl.Diagnostics) {
	b := &build{blk: blk, instance: i}
	ctx := sc.context(
		i.with(map[string]cty.Value{"build": cty.ObjectVal(map[string]cty.Value{"name": cty.DynamicVal})}),
	)
	content, _, diags := expand(body, ctx).PartialContent(headSchema)
	text := func(name string) string {
		attr := content.Attributes[name]
		if attr == nil {
			return ""
		}
		v, more := attr.Expr.Value(ctx)
		diags = append(diags, more...)
		if !more.HasErrors() && v.IsKnown() && !v.IsNull() && v.Type() != cty.String {
			diags = append(diags, template.ErrorfAt(attr.Expr.Range(), "Unsuitable value type",
				"%s is a string.", name))
		}
		return stringOf(v)
	}
	b.name, b.description = instance{key: i.named(text("name"))}.named(prefix), text("description")
	ctx.Variables["build"] = cty.ObjectVal(map[string]cty.Value{"name": cty.StringVal(b.name)})
	diags = append(diags, sc.readUses(b, content, ctx)...)
	return b, append(diags, sc.readWorks(b, body, ctx)...)
}

// readWorks reads what a build does: once, and once more for each source whose each or
// matrix it sees.
func (sc *scope) readWorks(b *build, body hcl.Body, ctx *hcl.EvalContext) (diags hcl.Diagnostics) {
	var shared *work
	read := func(u *use) *work {
		own := u.vars(nil)
		maps.DeleteFunc(own, func(name string, _ cty.Value) bool { return b.vars[name] != cty.NilVal })
		if len(own) == 0 && shared != nil {
			return shared
		}
		inner := ctx.NewChild()
		inner.Functions, inner.Variables = ctx.Functions, maps.Clone(ctx.Variables)
		maps.Copy(inner.Variables, own)
		w, more := sc.readWork(body, inner)
		diags = append(diags, more...)
		b.works = append(b.works, w)
		if len(own) == 0 {
			shared = w
		}
		return w
	}
	for i := range b.uses {
		b.uses[i].work = read(&b.uses[i])
	}
	if len(b.uses) == 0 {
		read(&use{}) // nothing is built, and yet its steps are checked
	}
	return diags
}

// readWork reads the steps of a build block.
func (sc *scope) readWork(body hcl.Body, ctx *hcl.EvalContext) (*work, hcl.Diagnostics) {
	w := &work{}
	content, diags := expand(body, ctx).Content(buildSchema)
	for _, d := range diags {
		if name := quotedName(d.Detail); name != "" && !strings.Contains(d.Detail, "Did you mean") {
			if near := schema.Suggest(name, buildNames); near != "" {
				d.Detail += fmt.Sprintf(" Did you mean %q?", near)
			}
		}
	}
	registries := 0
	for _, sub := range content.Blocks {
		switch sub.Type {
		case "provisioner":
			s, more := sc.readStep(sub, ctx, template.OnProvisioner)
			diags = append(diags, more...)
			w.steps = append(w.steps, s)
		case "steps":
			diags = append(diags, w.addShared(sc, sub, ctx)...)
		case "error-cleanup-provisioner":
			if w.cleanup != nil {
				diags = append(diags, template.ErrorAt(
					sub.DefRange,
					"Only one error-cleanup-provisioner is allowed",
					"A build has at most one error-cleanup-provisioner.",
				))
				continue
			}
			s, more := sc.readStep(sub, ctx, template.OnProvisioner)
			diags = append(diags, more...)
			w.cleanup = s
		case "post-processor":
			s, more := sc.readStep(sub, ctx, template.OnPostProcessor)
			diags = append(diags, more...)
			w.chains = append(w.chains, []*template.Step{s})
		case "post-processors":
			chain, more := sc.readChain(sub, ctx)
			diags = append(diags, more...)
			w.chains = append(w.chains, chain)
		case "hcp_packer_registry":
			if registries++; registries > 1 || sc.registry != nil {
				diags = append(diags, template.ErrorAt(sub.DefRange,
					"Only one hcp_packer_registry is allowed", ""))
				continue
			}
			diags = append(diags, sc.checkRegistry(sub, ctx, true)...)
		}
	}
	return w, diags
}

func (sc *scope) readChain(blk *hcl.Block, ctx *hcl.EvalContext) (chain []*template.Step,
	diags hcl.Diagnostics) {
	content, diags := blk.Body.Content(
		&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "post-processor", LabelNames: []string{"type"}}}},
	)
	for _, sub := range content.Blocks {
		s, more := sc.readStep(sub, ctx, template.OnPostProcessor)
		diags = append(diags, more...)
		chain = append(chain, s)
	}
	if len(chain) == 0 && !diags.HasErrors() {
		diags = append(diags, template.ErrorAt(blk.DefRange, "Empty post-processors block",
			"A post-processors block has at least one post-processor block."))
	}
	return chain, diags
}

var sourceRef = regexp.MustCompile(`^(?:sources?\.)?(?:module\.([\w-]+)\.)?([\w-]+)\.([\w.-]+)$`)

// readSources reads the list of sources.
func (sc *scope) readSources(b *build, attr *hcl.Attribute, ctx *hcl.EvalContext) (diags hcl.Diagnostics) {
	v, more := attr.Expr.Value(ctx)
	for _, d := range more {
		if d.Summary == "Unknown variable" || d.Summary == "Invalid reference" {
			d.Detail += ` Sources are written as quoted strings, such as "source.docker.example".`
		}
	}
	diags = append(diags, more...)
	if !more.HasErrors() {
		list, err := convert.Convert(schema.Bare(v), cty.List(cty.String))
		if err != nil || !list.IsWhollyKnown() || list.IsNull() {
			diags = append(
				diags,
				template.ErrorAt(
					attr.Expr.Range(),
					"Invalid source reference",
					`sources is a list of strings such as "source.docker.example".`,
				),
			)
		} else {
			exprs, _ := hcl.ExprList(attr.Expr)
			for i, item := range list.AsValueSlice() {
				rng := attr.Expr.Range()
				if i < len(exprs) {
					rng = exprs[i].Range()
				}
				uses, more := sc.use(stringOf(item), rng)
				diags = append(diags, more...)
				b.uses, b.named = append(b.uses, uses...), true
				b.show(uses)
			}
		}
	}
	return diags
}

// readUses reads the sources of a build: first the list, then the blocks.
func (sc *scope) readUses(b *build, content *hcl.BodyContent, ctx *hcl.EvalContext) (diags hcl.Diagnostics) {
	if attr := content.Attributes["sources"]; attr != nil {
		diags = sc.readSources(b, attr, ctx)
	}
	for _, blk := range content.Blocks {
		if blk.Type != "source" {
			continue
		}
		uses, more := sc.use(blk.Labels[0], blk.LabelRanges[0])
		diags = append(diags, more...)
		b.named = true
		inner, rest, more := blk.Body.PartialContent(
			&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "name"}}},
		)
		diags = append(diags, more...)
		alias := ""
		if attr := inner.Attributes["name"]; attr != nil {
			v, more := attr.Expr.Value(nil)
			diags = append(diags, more...)
			alias = stringOf(v)
		}
		for _, u := range uses {
			if u.src == nil {
				u.alias = cmp.Or(alias, u.alias)
				b.uses = append(b.uses, u)
				continue
			}
			if alias != "" {
				u.alias = u.src.named(alias)
			}
			if u.body = rest; u.src.owner != sc {
				u.body = nil
				for _, expr := range expressions(rest) {
					if inner.Attributes["name"] == nil || expr != inner.Attributes["name"].Expr {
						diags = append(diags, template.ErrorAt(expr.Range(), "Unsupported argument",
							"The options of a module's source are set by the module's inputs."))
					}
				}
			}
			b.uses = append(b.uses, u)
		}
		b.show(b.uses[len(b.uses)-len(uses):])
	}
	if !b.named && !diags.HasErrors() {
		diags = append(diags, template.ErrorAt(
			b.blk.DefRange,
			"missing source reference",
			`a build block must reference at least one source to be built, such as sources = ["source.docker.example"].`,
		))
	}
	return diags
}

// show lists what a reference means for inspect.
func (b *build) show(uses []use) {
	for _, u := range uses {
		b.shown = append(b.shown, template.Named{Type: u.typ, Name: u.alias})
	}
}

// use finds the sources that a reference means: one, or all instances of a block. What it
// gives for one that does not exist has no source.
func (sc *scope) use(ref string, rng hcl.Range) ([]use, hcl.Diagnostics) {
	m := sourceRef.FindStringSubmatch(ref)
	if m == nil {
		return nil, hcl.Diagnostics{template.ErrorfAt(
			rng,
			"Invalid source reference",
			"A source type is made of three parts that are split by a dot `.`; each part must start with a letter and may contain only letters, digits, underscores, and dashes. A valid source reference looks like: `source.type.name`. Got %q.",
			ref,
		)}
	}
	owner, prefix := sc, ""
	unknown := []use{{typ: m[2], name: m[3], alias: m[3], rng: rng}}
	if m[1] != "" {
		if owner = sc.children[m[1]]; owner == nil {
			return unknown, hcl.Diagnostics{template.ErrorfAt(rng, "Unknown module", "There is no module %q.",
				m[1])}
		}
		prefix = "module." + m[1] + "."
	}
	key := [2]string{m[2], m[3]}
	found := owner.expanded[key]
	if len(found) == 0 && owner.sources[key] == nil {
		var known []string
		for key := range owner.expanded {
			known = append(known, prefix+key[0]+"."+key[1])
		}
		slices.Sort(known)
		detail := fmt.Sprintf("Known: %v", known)
		if near := schema.Suggest(prefix+m[2]+"."+m[3], known); near != "" {
			detail = fmt.Sprintf("Did you mean %q?", near)
		}
		return unknown, hcl.Diagnostics{template.ErrorAt(rng, "Unknown source "+prefix+m[2]+"."+m[3], detail)}
	}
	var uses []use
	for _, s := range found {
		uses = append(uses, use{src: s, typ: s.typ, name: s.name, alias: s.name, rng: rng})
	}
	return uses, nil
}
