package template

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/dynblock"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"kiln/schema"
)

// hclBuild is a build block.
type hclBuild struct {
	instance
	nested            []string // steps blocks that are being read
	name, description string
	blk               *hcl.Block
	uses              []hclUse
	shown             []Named // sources as inspect lists them, also unknown ones
	steps             []*hclStep
	cleanup           *hclStep
	chains            [][]*hclStep
}

// hclUse is a source that a build block makes an image of.
type hclUse struct {
	src       *hclSource
	typ, name string // of the source
	alias     string // name given in the build block; default: the source's
	body      hcl.Body
	rng       hcl.Range
}

// hclStep is a provisioner or post-processor block.
type hclStep struct {
	typ, name    string
	body         hcl.Body
	rng          hcl.Range
	only, except []string
	override     cty.Value // NilVal: none
	overrideAt   hcl.Range
	pause        time.Duration
	timeout      time.Duration
	retries      int
	goOn         bool
	noCache      bool
	keep         *bool
	owner        *hclTemplate // whose values its body refers to
}

// runsFor tells whether the step belongs to the build of a source.
func (s *hclStep) runsFor(u hclUse) bool {
	full := u.typ + "." + u.alias
	if len(s.only) > 0 {
		return slices.Contains(s.only, full)
	}
	return !slices.Contains(s.except, full)
}

var buildSchema = &hcl.BodySchema{
	Attributes: []hcl.AttributeSchema{{Name: "name"}, {Name: "description"}, {Name: "sources"}},
	Blocks: []hcl.BlockHeaderSchema{{Type: "source", LabelNames: []string{"reference"}}, {Type: "provisioner", LabelNames: []string{"type"}},
		{Type: "error-cleanup-provisioner", LabelNames: []string{"type"}}, {Type: "post-processor", LabelNames: []string{"type"}},
		{Type: "post-processors"}, {Type: "steps", LabelNames: []string{"reference"}}, {Type: "hcp_packer_registry"}, {Type: "from", LabelNames: []string{"x"}}},
}

var buildNames = []string{"name", "description", "sources", "source", "provisioner", "error-cleanup-provisioner", "post-processor", "post-processors", "steps", "matrix", "for_each", "hcp_packer_registry"}

// expand makes the blocks that dynamic blocks stand for. A body without any, as
// nearly all are, is given back as it is.
func expand(body hcl.Body, ctx *hcl.EvalContext) hcl.Body {
	if b, ok := body.(*hclsyntax.Body); ok && !dynamic(b) {
		return body
	}
	return dynblock.Expand(body, ctx)
}

func dynamic(b *hclsyntax.Body) bool {
	return slices.ContainsFunc(b.Blocks, func(blk *hclsyntax.Block) bool { return blk.Type == "dynamic" || dynamic(blk.Body) })
}

// readBuilds reads the instances of one build block. In a module, their names begin
// with the module's.
func (h *hclTemplate) readBuilds(blk *hcl.Block, prefix string) (all []*hclBuild, diags hcl.Diagnostics) {
	content, rest, diags := blk.Body.PartialContent(instanceSchema)
	made, more := instances(content.Attributes, blk, h.context(nil))
	diags = append(diags, more...)
	if len(content.Attributes) == 0 {
		rest = blk.Body
	}
	for _, i := range made {
		b, more := h.readBuild(blk, rest, i, prefix)
		all, diags = append(all, b), append(diags, more...)
	}
	return all, diags
}

// readBuild reads one build block, or one instance of it.
func (h *hclTemplate) readBuild(blk *hcl.Block, body hcl.Body, i instance, prefix string) (*hclBuild, hcl.Diagnostics) {
	b := &hclBuild{blk: blk, instance: i}
	ctx := h.context(i.with(map[string]cty.Value{"build": cty.ObjectVal(map[string]cty.Value{"name": cty.DynamicVal})}))
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
			diags = append(diags, errorf(attr.Expr.Range(), "Unsuitable value type", "%s is a string.", name))
		}
		return stringOf(v)
	}
	b.name, b.description = instance{key: i.named(text("name"))}.named(prefix), text("description")
	ctx.Variables["build"] = cty.ObjectVal(map[string]cty.Value{"name": cty.StringVal(b.name)})
	diags = append(diags, h.readUses(b, content, ctx)...)
	registries := 0
	for _, sub := range content.Blocks {
		switch sub.Type {
		case "provisioner":
			s, more := h.readStep(sub, ctx, true)
			diags = append(diags, more...)
			b.steps = append(b.steps, s)
		case "steps":
			diags = append(diags, b.addShared(h, sub, ctx)...)
		case "error-cleanup-provisioner":
			if b.cleanup != nil {
				diags = append(diags, errorAt(sub.DefRange, "Only one error-cleanup-provisioner is allowed", "A build has at most one error-cleanup-provisioner."))
				continue
			}
			s, more := h.readStep(sub, ctx, true)
			diags = append(diags, more...)
			b.cleanup = s
		case "post-processor":
			s, more := h.readStep(sub, ctx, false)
			diags = append(diags, more...)
			b.chains = append(b.chains, []*hclStep{s})
		case "post-processors":
			chain, more := h.readChain(sub, ctx)
			diags = append(diags, more...)
			b.chains = append(b.chains, chain)
		case "hcp_packer_registry":
			if registries++; registries > 1 || h.registry != nil {
				diags = append(diags, errorAt(sub.DefRange, "Only one hcp_packer_registry is allowed", ""))
				continue
			}
			diags = append(diags, h.checkRegistry(sub, ctx, true)...)
		}
	}
	return b, diags
}

func (h *hclTemplate) readChain(blk *hcl.Block, ctx *hcl.EvalContext) (chain []*hclStep, diags hcl.Diagnostics) {
	content, diags := blk.Body.Content(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "post-processor", LabelNames: []string{"type"}}}})
	for _, sub := range content.Blocks {
		s, more := h.readStep(sub, ctx, false)
		diags = append(diags, more...)
		chain = append(chain, s)
	}
	if len(chain) == 0 && !diags.HasErrors() {
		diags = append(diags, errorAt(blk.DefRange, "Empty post-processors block", "A post-processors block has at least one post-processor block."))
	}
	return chain, diags
}

var sourceRef = regexp.MustCompile(`^(?:source\.)?(?:module\.([\w-]+)\.)?([\w-]+)\.([\w.-]+)$`)

// readUses reads the sources of a build: first the list, then the blocks.
func (h *hclTemplate) readUses(b *hclBuild, content *hcl.BodyContent, ctx *hcl.EvalContext) (diags hcl.Diagnostics) {
	if attr := content.Attributes["sources"]; attr != nil {
		v, more := attr.Expr.Value(ctx)
		for _, d := range more {
			if d.Summary == "Unknown variable" || d.Summary == "Invalid reference" {
				d.Detail += ` Sources are written as quoted strings, such as "source.docker.example".`
			}
		}
		diags = append(diags, more...)
		if !more.HasErrors() {
			list, err := convert.Convert(v, cty.List(cty.String))
			if err != nil || !list.IsWhollyKnown() || list.IsNull() {
				diags = append(diags, errorAt(attr.Expr.Range(), "Invalid source reference", `sources is a list of strings such as "source.docker.example".`))
			} else {
				exprs, _ := hcl.ExprList(attr.Expr)
				for i, item := range list.AsValueSlice() {
					rng := attr.Expr.Range()
					if i < len(exprs) {
						rng = exprs[i].Range()
					}
					uses, more := h.use(stringOf(item), rng)
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
		uses, more := h.use(blk.Labels[0], blk.LabelRanges[0])
		diags = append(diags, more...)
		inner, rest, more := blk.Body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "name"}}})
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
			if u.body = rest; u.src.owner != h {
				u.body = nil
				for _, expr := range expressions(rest) {
					if inner.Attributes["name"] == nil || expr != inner.Attributes["name"].Expr {
						diags = append(diags, errorAt(expr.Range(), "Unsupported argument", "The options of a module's source are set by the module's inputs."))
					}
				}
			}
			b.uses = append(b.uses, u)
		}
		b.show(blk.Labels[0], b.uses[len(b.uses)-len(uses):])
	}
	if len(b.uses) == 0 && !diags.HasErrors() {
		diags = append(diags, errorAt(b.blk.DefRange, "missing source reference",
			`a build block must reference at least one source to be built, such as sources = ["source.docker.example"].`))
	}
	return diags
}

// show lists what a reference means for inspect, or the reference where it means
// nothing.
func (b *hclBuild) show(ref string, uses []hclUse) {
	for _, u := range uses {
		b.shown = append(b.shown, Named{u.typ, u.alias})
	}
	if m := sourceRef.FindStringSubmatch(ref); m != nil && len(uses) == 0 {
		b.shown = append(b.shown, Named{m[2], m[3]})
	}
}

// use finds the sources that a reference means: one, or all instances of a block.
func (h *hclTemplate) use(ref string, rng hcl.Range) ([]hclUse, hcl.Diagnostics) {
	m := sourceRef.FindStringSubmatch(ref)
	if m == nil {
		return nil, hcl.Diagnostics{errorf(rng, "Invalid source reference",
			"A source type is made of three parts that are split by a dot `.`; each part must start with a letter and may contain only letters, digits, underscores, and dashes. A valid source reference looks like: `source.type.name`. Got %q.", ref)}
	}
	owner, prefix := h, ""
	if m[1] != "" {
		mod := h.module(m[1])
		if mod == nil {
			return nil, hcl.Diagnostics{errorf(rng, "Unknown module", "There is no module %q.", m[1])}
		}
		owner, prefix = mod.child, "module."+m[1]+"."
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
		return nil, hcl.Diagnostics{errorAt(rng, "Unknown source "+prefix+m[2]+"."+m[3], detail)}
	}
	var uses []hclUse
	for _, s := range found {
		uses = append(uses, hclUse{src: s, typ: s.typ, name: s.name, alias: s.name, rng: rng})
	}
	return uses, nil
}

var (
	provisionerSchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "name"}, {Name: "only"}, {Name: "except"}, {Name: "override"},
		{Name: "pause_before"}, {Name: "timeout"}, {Name: "max_retries"}, {Name: "continue_on_error"}, {Name: "cache"}}}
	postProcessorSchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "name"}, {Name: "only"}, {Name: "except"}, {Name: "keep_input_artifact"}}}
)

// readStep reads what the template says around a provisioner or post-processor.
func (h *hclTemplate) readStep(blk *hcl.Block, ctx *hcl.EvalContext, provisioner bool) (*hclStep, hcl.Diagnostics) {
	want := postProcessorSchema
	if provisioner {
		want = provisionerSchema
	}
	content, rest, diags := blk.Body.PartialContent(want)
	s := &hclStep{typ: blk.Labels[0], body: rest, rng: blk.DefRange, owner: h}
	m := meta{content.Attributes, ctx, &diags}
	m.into("name", cty.String, func(v cty.Value) error { s.name = v.AsString(); return nil })
	m.into("only", cty.List(cty.String), func(v cty.Value) error { s.only = texts(v); return nil })
	m.into("except", cty.List(cty.String), func(v cty.Value) error { s.except = texts(v); return nil })
	if len(s.only) > 0 && len(s.except) > 0 {
		diags = append(diags, errorAt(content.Attributes["only"].Range, "only one of 'only' or 'except' may be specified", ""))
	}
	m.into("pause_before", cty.String, duration(&s.pause))
	m.into("timeout", cty.String, duration(&s.timeout))
	m.into("max_retries", cty.Number, func(v cty.Value) error {
		n, acc := v.AsBigFloat().Int64()
		if acc != 0 || n < 0 {
			return fmt.Errorf("a whole number that is not negative is required")
		}
		s.retries = int(n)
		return nil
	})
	m.into("continue_on_error", cty.Bool, func(v cty.Value) error { s.goOn = v.True(); return nil })
	m.into("cache", cty.Bool, func(v cty.Value) error { s.noCache = v.False(); return nil })
	m.into("keep_input_artifact", cty.Bool, func(v cty.Value) error { keep := v.True(); s.keep = &keep; return nil })
	if attr := content.Attributes["override"]; attr != nil {
		v, more := attr.Expr.Value(ctx)
		diags = append(diags, more...)
		s.override, s.overrideAt = v, attr.Expr.Range()
		diags = append(diags, s.checkOverride()...)
	}
	return s, diags
}

func (s *hclStep) checkOverride() (diags hcl.Diagnostics) {
	if s.override.IsNull() || !s.override.IsKnown() {
		s.override = cty.NilVal
		return nil
	}
	if !s.override.Type().IsObjectType() && !s.override.Type().IsMapType() {
		s.override = cty.NilVal
		return hcl.Diagnostics{errorAt(s.overrideAt, "provisioner's override block must be an HCL object", "It has a key for each source name, with an object of options.")}
	}
	for name, v := range s.override.AsValueMap() {
		if !v.IsNull() && !v.Type().IsObjectType() && !v.Type().IsMapType() {
			diags = append(diags, errorf(s.overrideAt, fmt.Sprintf("provisioner's override.'%s' block must be an HCL object", name), ""))
		}
	}
	return diags
}

// meta reads meta-arguments of a block.
type meta struct {
	attrs hcl.Attributes
	ctx   *hcl.EvalContext
	diags *hcl.Diagnostics
}

func (m meta) into(name string, ty cty.Type, set func(cty.Value) error) {
	attr := m.attrs[name]
	if attr == nil {
		return
	}
	v, diags := attr.Expr.Value(m.ctx)
	*m.diags = append(*m.diags, diags...)
	if diags.HasErrors() || v.IsNull() || !v.IsWhollyKnown() {
		return
	}
	if ty == cty.String && v.Type() == cty.Number && (name == "pause_before" || name == "timeout") {
		*m.diags = append(*m.diags, errorf(attr.Expr.Range(), "Failed to parse "+name+" duration", `A number needs a unit: write "30s" or "5m".`))
		return
	}
	c, err := convert.Convert(v, ty)
	if err == nil {
		err = set(c)
		if err != nil && (name == "pause_before" || name == "timeout") {
			*m.diags = append(*m.diags, errorAt(attr.Expr.Range(), "Failed to parse "+name+" duration", err.Error()))
			return
		}
	}
	if err != nil {
		*m.diags = append(*m.diags, errorf(attr.Expr.Range(), "Unsuitable value type", "Unsuitable value for %s: %v.", name, err))
	}
}

func duration(into *time.Duration) func(cty.Value) error {
	return func(v cty.Value) (err error) {
		if v.AsString() == "" {
			return nil
		}
		*into, err = time.ParseDuration(v.AsString())
		return err
	}
}

func texts(v cty.Value) (out []string) {
	for _, item := range v.AsValueSlice() {
		out = append(out, stringOf(item))
	}
	return out
}
