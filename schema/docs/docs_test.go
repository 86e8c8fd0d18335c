package docs

import (
	"encoding/json"
	"strings"
	"testing"

	"kiln/schema"
)

// runtime is a component that no struct describes, as a plugin's.
func runtime(t *testing.T) Component {
	t.Helper()
	b, err := schema.NewBlock(
		&schema.Field{Name: "region", Required: true, Doc: "Where to work"},
		&schema.Field{Name: "size", Type: schema.Type{Kind: schema.Integer}, Default: "3", HasDefault: true},
		&schema.Field{Name: "tags", Type: schema.Type{Kind: schema.Map, Item: &schema.Type{Kind: schema.String}}, Doc: "Labels."},
	)
	if err != nil {
		t.Fatal(err)
	}
	return Component{Kind: Builder, Name: "cloud", About: "makes images. In a cloud.", Block: b}
}

func TestRunTime(t *testing.T) {
	c := runtime(t)
	page, err := c.Page(false, "")
	want := "BUILDER cloud\n\nMakes images. In a cloud.\n" +
		"  region (string, required)\n      Where to work.\n  size (number, default 3)\n" +
		"  tags (map of string)\n      Labels.\n"
	if err != nil || page != want {
		t.Errorf("%v\n%s", err, page)
	}
	e, err := EditorSchema(Language{Kiln: "1"}, []Component{c})
	if err != nil || e.Components[Builder]["cloud"].Description != "makes images" || len(e.Components[Builder]["cloud"].Options) != 3 {
		t.Errorf("%v, %+v", err, e)
	}
	doc, err := JSONSchema([]Component{c})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(doc)
	if err != nil || !strings.Contains(string(text), `"size":{"default":3,"type":["number","string","boolean","null"]}`) {
		t.Errorf("%v: %s", err, text)
	}
}
