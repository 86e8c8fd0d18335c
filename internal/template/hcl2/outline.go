package hcl2

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Outline is what can be told of a file without loading its template.
type Outline struct {
	Build   bool     // it has a build block
	Shares  bool     // it has outputs or steps, as modules have
	Modules []string // the sources of its module blocks
}

// OutlineOf reads an outline. Of a file that cannot be parsed it is what there is up to
// there.
func OutlineOf(path string, text []byte) (o Outline) {
	if deep(path, text) != nil {
		return o
	}
	if strings.HasSuffix(path, ".json") {
		return outlineJSON(text)
	}
	files, _ := parseNative(path, text)
	for _, f := range files {
		if f == nil {
			continue
		}
		if body, ok := f.Body.(*hclsyntax.Body); ok {
			o.native(body)
		}
	}
	return o
}

func (o *Outline) native(body *hclsyntax.Body) {
	for _, blk := range body.Blocks {
		switch blk.Type {
		case "build":
			o.Build = true
		case "output", "steps":
			o.Shares = true
		case "module":
			attr := blk.Body.Attributes["source"]
			if attr == nil {
				continue
			}
			if v, diags := attr.Expr.Value(nil); !diags.HasErrors() && stringOf(v) != "" {
				o.Modules = append(o.Modules, stringOf(v))
			}
		}
	}
}

func outlineJSON(text []byte) (o Outline) {
	var root map[string]json.RawMessage
	if json.NewDecoder(bytes.NewReader(text)).Decode(&root) != nil {
		return o
	}
	_, o.Build = root["build"]
	o.Shares = root["output"] != nil || root["steps"] != nil
	var modules map[string]struct{ Source string }
	if json.Unmarshal(root["module"], &modules) == nil {
		for _, m := range modules {
			o.Modules = append(o.Modules, m.Source)
		}
	}
	return o
}
