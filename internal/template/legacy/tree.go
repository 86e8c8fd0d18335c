package legacy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"kiln/internal/template"
)

// node is a JSON value with its place in the file.
type node struct {
	rng    hcl.Range
	kind   byte // { [ s n b 0 (null)
	text   string
	truth  bool
	items  []*node
	fields []field
}

type field struct {
	name string
	rng  hcl.Range
	val  *node
}

// reader walks the tokens of a file that is known to be valid JSON.
type reader struct {
	file  string
	text  []byte
	dec   *json.Decoder
	lines []int // offsets at which lines begin
	dup   hcl.Diagnostics
}

// parseJSON reads JSON with positions. A key that stands twice in an object is a
// diagnostic, the first one of each object's.
func parseJSON(file string, text []byte) (*node, hcl.Diagnostics) {
	r := &reader{file: file, text: text, lines: []int{0}}
	for i, c := range text {
		if c == '\n' {
			r.lines = append(r.lines, i+1)
		}
	}
	var any json.RawMessage
	if err := json.Unmarshal(text, &any); err != nil {
		return nil, hcl.Diagnostics{r.syntax(err)}
	}
	r.dec = json.NewDecoder(bytes.NewReader(text))
	r.dec.UseNumber()
	n, err := r.value()
	if err != nil {
		return nil, hcl.Diagnostics{r.syntax(err)}
	}
	return n, r.dup
}

// syntax describes a syntax error as docs/compat/templates.md 2.1 lays it out.
func (r *reader) syntax(err error) *hcl.Diagnostic {
	offset := len(r.text)
	var syn *json.SyntaxError
	if errors.As(err, &syn) {
		offset = max(0, int(syn.Offset)-1)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || offset > len(r.text) {
		offset = len(r.text)
	}
	at := r.pos(offset)
	detail := fmt.Sprintf("%v\nAt line %d, column %d (offset %d):\n", err, at.Line, at.Column, offset)
	if at.Line > 1 {
		detail += fmt.Sprintf("%5d: %s\n", at.Line-1, template.LineAt(r.text, at.Line-1))
	}
	line := template.LineAt(r.text, at.Line)
	cut := min(len(line), max(0, offset-r.lines[at.Line-1]))
	detail += fmt.Sprintf("%5d: %s\n%s^", at.Line, line[:cut], strings.Repeat(" ", max(0, 7+cut-1)))
	if hint := r.syntaxHint(err, offset); hint != "" {
		detail += "\n" + hint
	}
	return template.ErrorAt(hcl.Range{Filename: r.file, Start: at, End: at}, "", detail)
}

// syntaxHint says of a common mistake what it is, where the reader of JSON stopped.
func (r *reader) syntaxHint(err error, offset int) string {
	before, rest := bytes.TrimSpace(r.text[:offset]), r.text[offset:]
	if strings.Contains(err.Error(), "unexpected end") {
		if len(bytes.TrimSpace(r.text)) == 0 {
			return "The file is empty."
		}
		return "The file ends within an object, a list or a text: a bracket or a quote is not closed."
	}
	switch first, _ := utf8.DecodeRune(rest); {
	case strings.ContainsRune("“”„‘’«»", first):
		return "These are the quotes of a text processor: JSON has \" alone."
	case first == '\'':
		return "Texts stand in double quotes."
	case first == '/' || first == '#':
		return "JSON has no comments. A key at the root that begins with an underscore is one."
	case strings.ContainsRune("]}", first) && bytes.HasSuffix(before, []byte(",")):
		return "There is a comma behind the last element."
	}
	return ""
}

func (r *reader) pos(offset int) hcl.Pos {
	low, high := 0, len(r.lines)
	for high-low > 1 {
		if mid := (low + high) / 2; r.lines[mid] <= offset {
			low = mid
		} else {
			high = mid
		}
	}
	offset = min(offset, len(r.text))
	return hcl.Pos{Line: low + 1, Column: utf8.RuneCount(r.text[r.lines[low]:offset]) + 1, Byte: offset}
}

// token reads one token and tells where it stands.
func (r *reader) token() (json.Token, hcl.Range, error) {
	start := int(r.dec.InputOffset())
	for start < len(r.text) && strings.IndexByte(" \t\r\n,:", r.text[start]) >= 0 {
		start++
	}
	tok, err := r.dec.Token()
	return tok, hcl.Range{Filename: r.file, Start: r.pos(start), End: r.pos(int(r.dec.InputOffset()))}, err
}

func (r *reader) value() (*node, error) {
	tok, rng, err := r.token()
	if err != nil {
		return nil, err
	}
	n := &node{rng: rng}
	switch tok := tok.(type) {
	case string:
		n.kind, n.text = 's', tok
	case json.Number:
		n.kind, n.text = 'n', tok.String()
	case bool:
		n.kind, n.truth = 'b', tok
	case nil:
		n.kind = '0'
	case json.Delim:
		n.kind = byte(tok)
		if tok == '[' {
			for r.dec.More() {
				item, err := r.value()
				if err != nil {
					return nil, err
				}
				n.items = append(n.items, item)
			}
		} else if err := r.object(n); err != nil {
			return nil, err
		}
		_, end, err := r.token()
		n.rng.End = end.End
		return n, err
	}
	return n, nil
}

func (r *reader) object(n *node) error {
	seen := map[string]bool{}
	for r.dec.More() {
		tok, rng, err := r.token()
		if err != nil {
			return err
		}
		name, _ := tok.(string)
		val, err := r.value()
		if err != nil {
			return err
		}
		if seen[name] {
			r.dup = append(r.dup, template.ErrorAt(rng, "", "template has duplicate field: "+name))
		}
		seen[name] = true
		n.fields = append(n.fields, field{name, rng, val})
	}
	return nil
}

// kindName is the word for a node's kind in messages, as encoding tools use them.
func (n *node) kindName() string {
	return map[byte]string{'{': "map[string]interface {}", '[': "[]interface {}", 's': "string",
		'n': "float64", 'b': "bool", '0': "null"}[n.kind]
}

// get finds a field, in the exact case first and then in any.
func (n *node) get(name string) *node {
	for _, f := range n.fields {
		if f.name == name {
			return f.val
		}
	}
	for _, f := range n.fields {
		if strings.EqualFold(f.name, name) {
			return f.val
		}
	}
	return nil
}

// exact finds a field in the exact case.
func (n *node) exact(name string) *node {
	for _, f := range n.fields {
		if f.name == name {
			return f.val
		}
	}
	return nil
}

// cty is the node as a value.
func (n *node) cty() cty.Value {
	switch n.kind {
	case 's':
		return cty.StringVal(n.text)
	case 'n':
		if v, err := cty.ParseNumberVal(n.text); err == nil {
			return v
		}
		return cty.Zero
	case 'b':
		return cty.BoolVal(n.truth)
	case '[':
		var items []cty.Value
		for _, item := range n.items {
			items = append(items, item.cty())
		}
		return cty.TupleVal(items)
	case '{':
		vals := map[string]cty.Value{}
		for _, f := range n.fields {
			vals[f.name] = f.val.cty()
		}
		return cty.ObjectVal(vals)
	}
	return cty.NullVal(cty.DynamicPseudoType)
}

// body lets the schema's decoder read a node.
type body struct{ *node }

// JustAttributes gives every field as an attribute.
func (b body) JustAttributes() (hcl.Attributes, hcl.Diagnostics) {
	attrs := hcl.Attributes{}
	for _, f := range b.fields {
		attrs[f.name] = &hcl.Attribute{Name: f.name, Expr: hcl.StaticExpr(f.val.cty(), f.val.rng),
			Range: f.rng, NameRange: f.rng}
	}
	return attrs, nil
}

// Content is not how legacy JSON is read.
func (b body) Content(*hcl.BodySchema) (*hcl.BodyContent, hcl.Diagnostics) {
	return &hcl.BodyContent{Attributes: hcl.Attributes{}}, nil
}

// PartialContent is not how legacy JSON is read.
func (b body) PartialContent(*hcl.BodySchema) (*hcl.BodyContent, hcl.Body, hcl.Diagnostics) {
	return &hcl.BodyContent{Attributes: hcl.Attributes{}}, b, nil
}

// MissingItemRange is the object's beginning.
func (b body) MissingItemRange() hcl.Range {
	return hcl.Range{Filename: b.rng.Filename, Start: b.rng.Start, End: b.rng.Start}
}
