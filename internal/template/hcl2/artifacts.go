package hcl2

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"kiln"
	"kiln/internal/template"
	"kiln/schema"
)

// artifacts are what the builds of a template made, for those that stand on them:
// artifact.<build>.<source>.
type artifacts struct {
	mu     sync.Mutex
	order  [][2]string
	all    map[[2]string]*made
	builds map[string]*made // by full name
	made   int              // how many were published
	known  cty.Value        // of all builds; NilVal: to be made anew
	marked cty.Value        // the same with marks that name the builds
}

// made is what a build has made, or will make.
type made struct {
	build    string // full name
	artifact *kiln.Artifact
	several  bool // more than one build has the name
}

func newArtifacts() *artifacts {
	a := &artifacts{}
	a.clear()
	return a
}

// clear forgets all builds.
func (a *artifacts) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.order, a.all, a.builds = nil, map[[2]string]*made{}, map[string]*made{}
	a.known, a.marked = cty.NilVal, cty.NilVal
}

// add names a build, and reports whether it can be referred to: one in a block without a
// name cannot, nor a second one of the same name.
func (a *artifacts) add(block, source, build string) bool {
	key := [2]string{block, source}
	if block == "" {
		return false
	}
	if old := a.all[key]; old != nil {
		old.several = true
		return false
	}
	a.all[key] = &made{build: build}
	a.builds[build] = a.all[key]
	a.order = append(a.order, key)
	return true
}

// publish tells what a build made.
func (a *artifacts) publish(build string, artifact *kiln.Artifact) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m := a.builds[build]; m != nil {
		m.artifact, a.known = artifact, cty.NilVal
		a.made++
	}
}

// count is how often an artifact became known.
func (a *artifacts) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.made
}

// needMark is on a value that comes from a build.
type needMark struct{ build string }

// value is what expressions see.
func (a *artifacts) value() cty.Value {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == cty.NilVal {
		a.known = a.object(func(m *made) cty.Value { return m.value() })
	}
	return a.known
}

// probe is the same with values that tell which build they come from.
func (a *artifacts) probe() cty.Value {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.marked == cty.NilVal {
		a.marked = a.object(func(m *made) cty.Value { return m.value().Mark(needMark{m.build}) })
	}
	return a.marked
}

// object is all builds by block and source.
func (a *artifacts) object(value func(*made) cty.Value) cty.Value {
	blocks := map[string]map[string]cty.Value{}
	for key, m := range a.all {
		if blocks[key[0]] == nil {
			blocks[key[0]] = map[string]cty.Value{}
		}
		blocks[key[0]][key[1]] = value(m)
	}
	out := map[string]cty.Value{}
	for name, sources := range blocks {
		out[name] = cty.ObjectVal(sources)
	}
	return cty.ObjectVal(out)
}

// pending is an artifact that does not exist yet.
var pending = cty.ObjectVal(map[string]cty.Value{"id": cty.UnknownVal(cty.String),
	"builder": cty.UnknownVal(cty.String),
	"files":   cty.UnknownVal(cty.List(cty.String)), "tags": cty.UnknownVal(cty.List(cty.String))})

func (m *made) value() cty.Value {
	if m.artifact == nil {
		return pending
	}
	return cty.ObjectVal(map[string]cty.Value{"id": cty.StringVal(m.artifact.ID),
		"builder": cty.StringVal(m.artifact.Builder),
		"files":   stringList(m.artifact.Files), "tags": stringList(m.artifact.Tags)})
}

func stringList(items []string) cty.Value {
	if len(items) == 0 {
		return cty.ListValEmpty(cty.String)
	}
	var vals []cty.Value
	for _, item := range items {
		vals = append(vals, cty.StringVal(item))
	}
	return cty.ListVal(vals)
}

// needs lists the builds whose artifacts a body refers to.
func (a *artifacts) needs(body hcl.Body, ctx *hcl.EvalContext) (builds []string, diags hcl.Diagnostics) {
	probe := ctx.NewChild()
	probe.Variables = map[string]cty.Value{"artifact": a.probe()}
	for _, expr := range expressions(body) {
		uses := false
		for _, t := range expr.Variables() {
			uses = uses || t.RootName() == "artifact"
		}
		if !uses {
			continue
		}
		found, more := a.needsOf(expr, probe)
		diags = append(diags, more...)
		for _, b := range found {
			if a.builds[b].several {
				diags = append(diags, template.ErrorfAt(expr.Range(), "Ambiguous artifact",
					"Several builds are called %s: a name of its own in each build block tells them apart.", b))
			}
			if !slices.Contains(builds, b) {
				builds = append(builds, b)
			}
		}
	}
	return builds, diags
}

// needsOf finds out by evaluating which builds an expression refers to. Where that
// cannot be done yet, as inside a dynamic block, its text must say so.
func (a *artifacts) needsOf(expr hcl.Expression, probe *hcl.EvalContext) (builds []string,
	diags hcl.Diagnostics) {
	if v, diags := expr.Value(probe); !diags.HasErrors() {
		_, marks := v.UnmarkDeep()
		for m := range marks {
			if need, ok := m.(needMark); ok {
				builds = append(builds, need.build)
			}
		}
		slices.Sort(builds)
		if len(builds) > 0 {
			return builds, nil
		}
	}
	for _, t := range expr.Variables() {
		if t.RootName() != "artifact" {
			continue
		}
		found := a.named(t)
		if len(found) == 0 {
			diags = append(diags, template.ErrorfAt(t.SourceRange(), "Unknown artifact", "%s", a.hint(t)))
		}
		builds = append(builds, found...)
	}
	return builds, diags
}

// step is the name at a place of a reference; "" where it is computed.
func step(t hcl.Traversal, i int) string {
	if i >= len(t) {
		return ""
	}
	switch s := t[i].(type) {
	case hcl.TraverseAttr:
		return s.Name
	case hcl.TraverseIndex:
		return stringOf(s.Key)
	}
	return ""
}

// named lists the builds that the text of a reference fits.
func (a *artifacts) named(t hcl.Traversal) (builds []string) {
	block, source := step(t, 1), step(t, 2)
	for _, key := range a.order {
		if (block == "" || key[0] == block) && (source == "" || key[1] == source) {
			builds = append(builds, a.all[key].build)
		}
	}
	return builds
}

func (a *artifacts) hint(t hcl.Traversal) string {
	var known []string
	for _, key := range a.order {
		known = append(known, "artifact."+key[0]+"."+key[1])
	}
	if len(known) == 0 {
		return "No build block has a name. An artifact is named artifact.<name of the build block>.<name of the source>."
	}
	if near := schema.Suggest("artifact."+step(t, 1)+"."+step(t, 2), known); near != "" {
		return fmt.Sprintf("Did you mean %s?", near)
	}
	return "Known are: " + strings.Join(known, ", ")
}

// expressions lists the attributes of a body, nested blocks too.
func expressions(body hcl.Body) (all []hcl.Expression) {
	if b, ok := body.(*hclsyntax.Body); ok {
		for _, a := range b.Attributes {
			all = append(all, a.Expr)
		}
		for _, blk := range b.Blocks {
			all = append(all, expressions(blk.Body)...)
		}
		return all
	}
	attrs, _ := body.JustAttributes()
	for _, a := range attrs {
		all = append(all, a.Expr)
	}
	return all
}
