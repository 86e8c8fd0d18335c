package hcl2

import (
	"fmt"
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
	nested            []string // steps blocks that are being read
	name, description string
	blk               *hcl.Block
	uses              []use
	shown             []template.Named // sources as inspect lists them, also unknown ones
	steps             []*template.Step
	cleanup           *template.Step
	chains            [][]*template.Step
}

// use is a source that a build block makes an image of.
type use struct {
	src       *source
	typ, name string // of the source
	alias     string // name given in the build block; default: the source's
	body      hcl.Body
	rng       hcl.Range
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
	content, diags := expand(body, ctx).Content(buildSchema)
	for _, d := range diags {
		if name := quotedName(d.Detail); name != "" && !strings.Contains(d.Detail, "Did you mean") {
			if near := schema.Suggest(name, buildNames); near != "" {
				d.Detail += fmt.Sprintf(" Did you mean %q?", near)
			}
		}
	}
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
	registries := 0
	for _, sub := range content.Blocks {
		switch sub.Type {
		case "provisioner":
			s, more := sc.readStep(sub, ctx, template.OnProvisioner)
			diags = append(diags, more...)
			b.steps = append(b.steps, s)
		case "steps":
			diags = append(diags, b.addShared(sc, sub, ctx)...)
		case "error-cleanup-provisioner":
			if b.cleanup != nil {
				diags = append(diags, template.ErrorAt(
					sub.DefRange,
					"Only one error-cleanup-provisioner is allowed",
					"A build has at most one error-cleanup-provisioner.",
				))
				continue
			}
			s, more := sc.readStep(sub, ctx, template.OnProvisioner)
			diags = append(diags, more...)
			b.cleanup = s
		case "post-processor":
			s, more := sc.readStep(sub, ctx, template.OnPostProcessor)
			diags = append(diags, more...)
			b.chains = append(b.chains, []*template.Step{s})
		case "post-processors":
			chain, more := sc.readChain(sub, ctx)
			diags = append(diags, more...)
			b.chains = append(b.chains, chain)
		case "hcp_packer_registry":
			if registries++; registries > 1 || sc.registry != nil {
				diags = append(diags, template.ErrorAt(sub.DefRange,
					"Only one hcp_packer_registry is allowed", ""))
				continue
			}
			diags = append(diags, sc.checkRegistry(sub, ctx, true)...)
		}
	}
	return b, diags
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

var sourceRef = regexp.MustCompile(`^(?:source\.)?(?:module\.([\w-]+)\.)?([\w-]+)\.([\w.-]+)$`)

// readUses reads the sources of a build: first the list, then the blocks.
func (sc *scope) readUses(b *build, content *hcl.BodyContent, ctx *hcl.EvalContext) (diags hcl.Diagnostics) {
	if attr := content.Attributes["sources"]; attr != nil {
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
					b.uses = append(b.uses, uses...)
					b.show(stringOf(item), uses)
				}
			}
		}
	}
	for _, blk := range content.Blocks {
		if blk.Type != "source" {
			continue
		}
		uses, more := sc.use(blk.Labels[0], blk.LabelRanges[0])
		diags = append(diags, more...)
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
		b.show(blk.Labels[0], b.uses[len(b.uses)-len(uses):])
	}
	if len(b.uses) == 0 && !diags.HasErrors() {
		diags = append(diags, template.ErrorAt(
			b.blk.DefRange,
			"missing source reference",
			`a build block must reference at least one source to be built, such as sources = ["source.docker.example"].`,
		))
	}
	return diags
}

// show lists what a reference means for inspect, or the reference where it means
// nothing.
func (b *build) show(ref string, uses []use) {
	for _, u := range uses {
		b.shown = append(b.shown, template.Named{Type: u.typ, Name: u.alias})
	}
	if m := sourceRef.FindStringSubmatch(ref); m != nil && len(uses) == 0 {
		b.shown = append(b.shown, template.Named{Type: m[2], Name: m[3]})
	}
}

// use finds the sources that a reference means: one, or all instances of a block.
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
	if m[1] != "" {
		if owner = sc.children[m[1]]; owner == nil {
			return nil, hcl.Diagnostics{template.ErrorfAt(rng, "Unknown module", "There is no module %q.",
				m[1])}
		}
		prefix = "module." + m[1] + "."
	}
	found := owner.expanded[[2]string{m[2], m[3]}]
	if len(found) == 0 {
		var known []string
		for key := range owner.expanded {
			known = append(known, prefix+key[0]+"."+key[1])
		}
		slices.Sort(known)
		detail := fmt.Sprintf("Known: %v", known)
		if near := schema.Suggest(prefix+m[2]+"."+m[3], known); near != "" {
			detail = fmt.Sprintf("Did you mean %q?", near)
		}
		return nil, hcl.Diagnostics{template.ErrorAt(rng, "Unknown source "+prefix+m[2]+"."+m[3], detail)}
	}
	var uses []use
	for _, s := range found {
		uses = append(uses, use{src: s, typ: s.typ, name: s.name, alias: s.name, rng: rng})
	}
	return uses, nil
}
