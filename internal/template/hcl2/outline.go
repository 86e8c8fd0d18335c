package hcl2

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/hashicorp/hcl/v2"
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
	if !o.words(path, text) {
		return o
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

// words reads what the words tell with which blocks begin, and reports whether there are
// modules, for which the text must be parsed: that takes several times as long.
func (o *Outline) words(path string, text []byte) (modules bool) {
	tokens, _ := hclsyntax.LexConfig(text, path, hcl.InitialPos)
	depth, begins := 0, true
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			depth++
		case hclsyntax.TokenCBrace, hclsyntax.TokenTemplateSeqEnd:
			depth--
		case hclsyntax.TokenIdent:
			if depth != 0 || !begins {
				break
			}
			switch string(t.Bytes) {
			case "build":
				o.Build = true
			case "output", "steps":
				o.Shares = true
			case "module":
				modules = true
			}
		}
		begins = t.Type == hclsyntax.TokenNewline || t.Type == hclsyntax.TokenComment
	}
	return modules
}

func (o *Outline) native(body *hclsyntax.Body) {
	for _, blk := range body.Blocks {
		if blk.Type != "module" || blk.Body.Attributes["source"] == nil {
			continue
		}
		v, diags := blk.Body.Attributes["source"].Expr.Value(nil)
		if !diags.HasErrors() && stringOf(v) != "" {
			o.Modules = append(o.Modules, stringOf(v))
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
