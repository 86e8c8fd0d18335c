// Package fix rewrites options of legacy JSON templates that were renamed or
// dropped over the years. The list is that of docs/compat/cli.md 8.
package fix

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A Fixer is one rewrite.
type Fixer struct {
	Name  string
	About string // what it does, in one line
	fix   func(*document)
}

// object is a JSON object.
type object = map[string]any

// document is the part of a template that fixers may change.
type document struct {
	builders       []object
	provisioners   []object
	postProcessors []object // of all chains, in order
}

// Fix reads a template and returns it with every fix applied: object keys sorted,
// two spaces a level.
func Fix(text []byte) ([]byte, error) {
	var root object
	dec := json.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&root); err != nil {
		return nil, fmt.Errorf("Error parsing template: %w", place(text, err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("Error parsing template: there is more after the template's closing brace")
	}
	if root == nil {
		return nil, errors.New("Error parsing template: a template is an object, not null")
	}
	doc, err := open(root)
	if err != nil {
		return nil, fmt.Errorf("Error fixing: %w", err)
	}
	for _, f := range Fixers() {
		f.fix(doc)
	}
	// A template without builders has had this key since the first fixer.
	if root["builders"] == nil {
		root["builders"] = nil
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(root); err != nil {
		return nil, fmt.Errorf("Error encoding: %w", err)
	}
	return []byte(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(out.String())), nil
}

// place says on which line a syntax error is.
func place(text []byte, err error) error {
	var syn *json.SyntaxError
	var typ *json.UnmarshalTypeError
	offset := int64(-1)
	switch {
	case errors.As(err, &syn):
		offset = syn.Offset
	case errors.As(err, &typ):
		offset = typ.Offset
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		offset = int64(len(text))
	}
	if offset < 0 || offset > int64(len(text)) {
		return err
	}
	return fmt.Errorf("line %d: %w", bytes.Count(text[:offset], []byte("\n"))+1, err)
}

// open finds what fixers look at.
func open(root object) (*document, error) {
	doc := &document{}
	var err error
	if doc.builders, err = objects(root["builders"], "builders"); err != nil {
		return nil, err
	}
	if doc.provisioners, err = objects(root["provisioners"], "provisioners"); err != nil {
		return nil, err
	}
	switch pps := root["post-processors"].(type) {
	case nil:
	case []any:
		doc.flatten(pps)
	default:
		return nil, errors.New("post-processors is a list")
	}
	return doc, nil
}

func (d *document) flatten(list []any) {
	for _, item := range list {
		switch item := item.(type) {
		case object:
			d.postProcessors = append(d.postProcessors, item)
		case []any:
			d.flatten(item)
		}
	}
}

func objects(v any, what string) ([]object, error) {
	if v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%s is a list of objects", what)
	}
	var all []object
	for i, item := range list {
		o, ok := item.(object)
		if !ok {
			return nil, fmt.Errorf("%s: element %d is no object", what, i+1)
		}
		all = append(all, o)
	}
	return all, nil
}

// typ is a component's type.
func typ(o object) string {
	s, _ := o["type"].(string)
	return s
}

// each calls f for the components whose type match accepts.
func each(list []object, match func(string) bool, f func(object)) {
	for _, o := range list {
		if match(typ(o)) {
			f(o)
		}
	}
}

func everything(string) bool { return true }

// is accepts the types given.
func is(types ...string) func(string) bool {
	return func(t string) bool {
		for _, want := range types {
			if t == want {
				return true
			}
		}
		return false
	}
}

// begins accepts the types that begin with a text.
func begins(prefix string) func(string) bool {
	return func(t string) bool { return strings.HasPrefix(t, prefix) }
}

// rename gives an option its new name, whatever its value. One that is there under
// the new name stays, and the old one goes.
func rename(o object, from, to string) {
	v, ok := o[from]
	if !ok {
		return
	}
	delete(o, from)
	if _, there := o[to]; !there {
		o[to] = v
	}
}
