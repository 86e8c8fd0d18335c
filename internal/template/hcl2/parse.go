package hcl2

import (
	"bytes"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"

	"kiln/internal/template"
)

// parser parses files and keeps their texts for diagnostics. A template and its
// modules share one.
type parser struct {
	texts *template.Texts
	done  map[string]parsedFile
}

// parsedFile is a file that was parsed before, as a module's that is used twice.
type parsedFile struct {
	text  []byte
	parts []hcl.Body
}

func newParser() *parser {
	return &parser{texts: template.NewTexts(), done: map[string]parsedFile{}}
}

// parse reads one file in the syntax that its name says. The bodies are its parts in
// order; nil: it cannot be read.
func (p *parser) parse(path string, read func(string) ([]byte, error)) (text []byte, parts []hcl.Body,
	diags hcl.Diagnostics) {
	name := template.Display(path)
	if f, ok := p.done[name]; ok {
		return f.text, f.parts, nil
	}
	text, err := read(path)
	if err != nil {
		return nil, nil, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Cannot read the file",
			Detail: err.Error()}}
	}
	p.texts.Add(name, text)
	if d := deep(name, text); d != nil {
		return nil, nil, hcl.Diagnostics{d}
	}
	var files []*hcl.File
	if strings.HasSuffix(name, ".json") {
		var f *hcl.File
		f, diags = json.Parse(text, name)
		files = []*hcl.File{f}
	} else {
		files, diags = parseNative(name, text)
	}
	p.texts.Parsed(name, files)
	if diags.HasErrors() {
		return nil, nil, diags
	}
	for _, f := range files {
		body := f.Body
		if strings.HasSuffix(name, ".json") {
			body = jsonBody{body}
		}
		parts = append(parts, body)
	}
	p.done[name] = parsedFile{text, parts}
	return text, parts, diags
}

// partSize is how much text is parsed at once. The tokens of a file take forty times
// its size, so that one of many megabytes is parsed part by part.
const partSize = 64 << 10

// parseNative parses native syntax. A long file is cut behind lines that begin with a
// brace, as nearly all top-level blocks end. If such a part cannot be parsed, that was
// no end of a block, and the file is parsed as a whole: a row of bodies that are each
// valid is a valid body.
func parseNative(name string, text []byte) ([]*hcl.File, hcl.Diagnostics) {
	var files []*hcl.File
	at := hcl.InitialPos
	for rest := text; len(rest) > 0; {
		part := rest
		if len(rest) > 2*partSize {
			if end := bytes.Index(rest[partSize:], []byte("\n}\n")); end >= 0 {
				part = rest[:partSize+end+len("\n}\n")]
			}
		}
		f, diags := hclsyntax.ParseConfig(part, name, at)
		if len(diags) > 0 {
			f, diags = hclsyntax.ParseConfig(text, name, hcl.InitialPos)
			return []*hcl.File{f}, diags
		}
		files = append(files, f)
		at.Line += bytes.Count(part, []byte{'\n'})
		at.Byte += len(part)
		rest = rest[len(part):]
	}
	if files == nil {
		f, diags := hclsyntax.ParseConfig(text, name, hcl.InitialPos)
		return []*hcl.File{f}, diags
	}
	return files, nil
}

// maxDepth bounds the nesting of brackets: the parser is recursive.
const maxDepth = 1000

// deep refuses text whose brackets nest deeper than any template's.
func deep(name string, text []byte) *hcl.Diagnostic {
	depth := 0
	for i, c := range text {
		switch c {
		case '(', '[', '{', '!', '-':
			if c == '!' || c == '-' {
				// A row of signs nests too.
				if i > 0 && text[i-1] == c {
					depth++
				}
				continue
			}
			depth++
		case ')', ']', '}':
			depth = max(0, depth-1)
		case '\n':
			if i > 0 && (text[i-1] == '-' || text[i-1] == '!') {
				depth = 0
			}
		}
		if depth > maxDepth {
			pos := hcl.Pos{Line: 1 + strings.Count(string(text[:i]), "\n"), Column: 1, Byte: i}
			return template.ErrorAt(hcl.Range{Filename: name, Start: pos, End: pos}, "Too deeply nested",
				"Expressions cannot nest this deep.")
		}
	}
	return nil
}
