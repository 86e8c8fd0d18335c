package hcl2

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"kiln/schema"
)

// public are the texts that stand in the template and its modules in clear: what is
// written there, and the values of variables and locals that are no secrets. Where a
// secret only chooses among them, nothing is to be hidden.
func (sc *scope) public() map[string]bool {
	all := map[string]bool{}
	sc.addPublic(all)
	return all
}

// hideMade hides what locals and outputs of modules are made of secrets. Once all are
// computed, it is known what stands in clear.
func (sc *scope) hideMade() {
	for _, values := range []map[string]cty.Value{sc.computed, sc.outs} {
		for _, v := range values {
			if !schema.IsSensitive(v) {
				continue
			}
			schema.Leaves(v, "", func(_, text string, secret bool) {
				if secret {
					sc.HideMade(text)
				}
			})
		}
	}
	for _, child := range sc.children {
		child.hideMade()
	}
}

func (sc *scope) addPublic(all map[string]bool) {
	add := func(v cty.Value) {
		schema.Leaves(v, "", func(_, text string, secret bool) {
			if !secret {
				all[text] = true
			}
		})
	}
	for name := range sc.variables {
		add(sc.variable(name))
	}
	for _, v := range sc.computed {
		add(v)
	}
	for _, f := range sc.files {
		if strings.HasSuffix(f.Name, ".json") {
			continue
		}
		for _, part := range sc.parser.done[f.Name].parts {
			if body, ok := part.(*hclsyntax.Body); ok {
				_ = hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl.Diagnostics {
					if l, ok := n.(*hclsyntax.LiteralValueExpr); ok {
						add(l.Val)
					}
					return nil
				})
			}
		}
	}
	for _, child := range sc.children {
		child.addPublic(all)
	}
}
