package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"kiln/schema/docs"
)

// compiled is the JSON Schema for legacy templates.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	all, err := docs.JSONSchema(described())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("kiln.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("kiln.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJSONSchema(t *testing.T) {
	s := compiled(t)
	paths, err := filepath.Glob("../../examples/*/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatal("no examples", err)
	}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		doc, err := jsonschema.UnmarshalJSON(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(doc); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, wrong := range []string{`{}`, `{"builders":[]}`, `{"builders":[{}]}`,
		`{"builders":[{"type":"null"}],"foo":1}`, `{"builders":[{"type":"docker","image":["a"]}]}`,
		`{"builders":[{"type":"null"}],"variables":{"a":1}}`,
		`{"builders":[{"type":"null"}],"post-processors":["nosuch"]}`} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(wrong))
		if err != nil {
			t.Fatal(err)
		}
		if s.Validate(doc) == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}

func TestEditorSchema(t *testing.T) {
	doc, err := editorSchema()
	if err != nil {
		t.Fatal(err)
	}
	for kind, name := range map[string]string{"builder": "docker", "provisioner": "shell",
		"post-processor": "manifest", "data": "http"} {
		c := doc.Components[kind][name]
		if c.Description == "" || len(c.Options) == 0 {
			t.Errorf("%s %s: %+v", kind, name, c)
		}
		for _, o := range c.Options {
			if o.Description == "" && o.Refused == "" {
				t.Errorf("%s %s: the option %s has no description", kind, name, o.Name)
			}
		}
	}
	if len(doc.Blocks) < 10 || len(doc.Functions) < 90 || len(doc.Engine) < 15 {
		t.Errorf("%d blocks, %d functions, %d engine functions", len(doc.Blocks), len(doc.Functions),
			len(doc.Engine))
	}
}
