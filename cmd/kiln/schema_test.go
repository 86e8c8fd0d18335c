package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"kiln/schema/docs"
)

// compiled is a JSON Schema as an editor would use it.
func compiled(t *testing.T, schema map[string]any, err error) *jsonschema.Schema {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(schema)
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

// takes reports what a schema says of a document.
func takes(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s.Validate(doc)
}

// validates reports whether Kiln takes a template.
func validates(t *testing.T, name, text string) (bool, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	p := newProgram(strings.NewReader(""), &out, &out)
	code := p.dispatch(t.Context(), []string{"validate", path})
	p.flush()
	return code == 0, out.String()
}

// What Kiln takes the schema takes, and options that are unknown neither of them.
func TestJSONSchemaIsKilns(t *testing.T) {
	schema, err := docs.JSONSchema(described())
	s := compiled(t, schema, err)
	provisioner := func(p string) string {
		return `{"builders":[{"type":"null","communicator":"none"}],"provisioners":[{"type":"shell-local",` + p + `}]}`
	}
	for text, good := range map[string]bool{
		provisioner(`"inline":["true"],"pause_before":"1s","max_retries":"2","timeout":"1m","cache":false`):  true,
		provisioner(`"inline":"true","only":["null"],"override":{"null":{"inline":["x"]}},"packer_x":1`):     true,
		provisioner(`"Inline":["true"],"environment_vars":["A=b"],"cache_max_age":"1h","pause_before":null`): true,
		provisioner(`"inline":["true"],"env":{"A":"b"},"valid_exit_codes":"0,1","except":["x-not"]`):         false,
		provisioner(`"inline":["true"],"env":[{"A":"b"},{"C":1}],"valid_exit_codes":"0,1"`):                  true,
		provisioner(`"inline":["true"],"valid_exit_codes":3,"timeout":1000000000`):                           true,
		provisioner(`"inline":["true"],"pause_befor":"1s"`):                                                  false,
		provisioner(`"inlin":["true"]`):                                                                       false,
		provisioner(`"inline":["true"],"override":{"null":3}`):                                                false,
		provisioner(`"inline":["true"],"cache":"no"`):                                                         false,
		`{"builders":[{"type":"null","ssh_host":"h","ssh_port":"22","SSH_Username":"u","ssh_password":"p"}]}`: true,
		`{"builders":[{"type":"null","communicator":"none","nam":"x"}]}`:                                      false,
		`{"_x":"y","description":null,"builders":[{"type":"file","content":"x","target":"t"}],"comments":[1],"push":3,
			"post-processors":["manifest",[{"type":"checksum","keep_input_artifact":true,"only":["file"]}],null]}`: false,
		`{"_x":"y","description":null,"builders":[{"type":"file","content":"x","target":"t"}],"comments":[1],"push":3,
			"post-processors":["manifest",[{"type":"checksum","keep_input_artifact":true,"only":["file"]}]]}`: true,
		`{"builders":[{"type":"null","communicator":"none"}],"post-processors":[{"type":"manifest","outptu":"x"}]}`: false,
		`{"builders":[{"type":"docker","image":"a","discard":"true","volumes":{"a":"b"},"build":null}]}`:            true,
	} {
		err := takes(t, s, text)
		if kiln, says := validates(t, "t.json", text); kiln != good && !strings.Contains(text, "x-not") {
			t.Errorf("Kiln: %v: %s\n%s", kiln, text, says)
		}
		if strings.Contains(text, "x-not") {
			good = true // which names there are is not the schema's concern
		}
		if (err == nil) != good {
			t.Errorf("the schema: %v: %s", err, text)
		}
	}
}

// The templates of all stories that Kiln takes are taken by the schema.
func TestJSONSchemaTakesStories(t *testing.T) {
	schema, err := docs.JSONSchema(described())
	s := compiled(t, schema, err)
	stories, err := filepath.Glob("../../test/script/*.txtar")
	if err != nil || len(stories) == 0 {
		t.Fatal("no stories", err)
	}
	taken := 0
	for _, story := range stories {
		a, err := txtar.ParseFile(story)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range a.Files {
			if filepath.Ext(f.Name) != ".json" || strings.HasSuffix(f.Name, ".pkr.json") ||
				!bytes.Contains(f.Data, []byte(`"builders"`)) || !json.Valid(f.Data) {
				continue
			}
			if ok, _ := validates(t, "t.json", string(f.Data)); !ok {
				continue
			}
			taken++
			if err := takes(t, s, string(f.Data)); err != nil {
				t.Errorf("%s: %s: %v", story, f.Name, err)
			}
		}
	}
	if taken < 10 {
		t.Errorf("only %d templates", taken)
	}
}

func TestHCLSchema(t *testing.T) {
	schema, err := docs.HCLSchema(language(), described())
	s := compiled(t, schema, err)
	build := func(b string) string {
		return `{"source":{"null":{"n":{"communicator":"none"}}},"build":{"sources":["null.n"],` + b + `}}`
	}
	for text, good := range map[string]bool{
		build(`"//":"a comment","name":"x","provisioner":{"shell-local":{"inline":["true"],"pause_before":"1s"}}`):   true,
		build(`"provisioner":[{"shell-local":{"inline":"${[\"true\"]}","max_retries":2,"continue_on_error":true}}]`): true,
		build(`"provisioner":{"shell-local":[{"inline":["true"],"only":["null.n"]},{"command":"true","name":"y"}]}`): true,
		build(`"post-processors":[{"post-processor":[{"manifest":{}},{"checksum":{"output":"x"}}]}]`):                true,
		build(`"matrix":{"a":["b","c"]},"source":{"null.n":{"name":"${matrix.a}","ssh_host":"h"}}`):                  true,
		build(`"provisioner":{"shell-local":{"inline":["true"],"pause_befor":"1s"}}`):                                false,
		build(`"provisionner":{"shell-local":{"inline":["true"]}}`):                                                  false,
		build(`"post-processor":{"manifest":{"outptu":"x"}}`):                                                        false,
		`{"source":{"null":{"n":{"comunicator":"none"}}},"build":{"sources":["null.n"]}}`:                            false,
		`{"sources":{"null":{"n":{}}}}`: false,
		`[]`:                            false,
		`{"packer":{"required_version":">= 1.9","required_plugins":{"docker":{"source":"github.com/hashicorp/docker","version":">= 1"}}},
			"variable":{"a":{"type":"string","default":"b","sensitive":false,"validation":{"condition":"${var.a != \"\"}","error_message":"It is empty."}}},
			"variables":{"c":"d"},"locals":[{"e":1},{"f":[1,2]}],"local":{"g":{"expression":"${local.e}","sensitive":true}},
			"data":{"null":{"x":{"input":"y"}}},
			"source":{"docker":{"d":{"image":"a","discard":true,"dynamic":{}},"e":[{"image":"${var.a}","commit":"true",
				"build":{"path":"Dockerfile","arguments":{"A":"b"}}}]},"null":[{"n":{"communicator":"none"}}]},
			"build":[{"sources":["source.null.n"]},{"name":"z","sources":"${[\"null.n\"]}"}],"output":{"o":{"value":1}},
			"steps":{"s":{"provisioner":{"shell":{"inline":["x"]}}}},"module":{"m":{"source":"./m","image":"x"}},
			"hcp_packer_registry":{"bucket_name":"abc"}}`: true,
	} {
		if err := takes(t, s, text); (err == nil) != good {
			t.Errorf("the schema: %v: %s", err, text)
		}
		// The last one is of parts that do not fit together.
		if ok, says := validates(t, "t.pkr.json", text); ok != good && !strings.Contains(text, "module") {
			t.Errorf("Kiln: %v: %s\n%s", ok, text, says)
		}
	}
}

func TestJSONSchema(t *testing.T) {
	schema, err := docs.JSONSchema(described())
	s := compiled(t, schema, err)
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
