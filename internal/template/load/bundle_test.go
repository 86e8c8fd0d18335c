package load

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kiln"
	"kiln/internal/template"
	"kiln/schema"
)

// settings are those of all components of all builds.
func settings(t *testing.T, tpl *template.Template) map[string][]map[string]any {
	t.Helper()
	builds, diags := tpl.Builds(t.Context())
	all := map[string][]map[string]any{}
	for _, b := range builds {
		diags = append(diags, b.Check()...)
		for _, c := range b.Components() {
			v, _ := c.Decode(nil)
			all[b.Name] = append(all[b.Name], schema.Settings(v, nil))
			// Settings hide what is sensitive, and it must be the same too.
			all[b.Name] = append(all[b.Name], map[string]any{"secret": v.(*fake).Secret})
		}
	}
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return all
}

// write makes files of a folder and goes there.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	return dir
}

// bundled loads a template, makes it a bundle and reads that from its JSON in an
// empty folder.
func bundled(t *testing.T, o template.Options, secrets ...string) (*template.Bundle,
	map[string][]map[string]any) {
	t.Helper()
	tpl, diags := Template(t.Context(), o)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	want := settings(t, tpl)
	b, err := tpl.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	var all any
	again := new(template.Bundle)
	if json.Unmarshal(text, &all) != nil || json.Unmarshal(text, again) != nil {
		t.Fatal("a bundle is not JSON")
	}
	for _, f := range again.Outside.Files {
		text = append(text, f.Text...)
	}
	for _, s := range secrets {
		for _, form := range []string{s, base64.StdEncoding.EncodeToString([]byte(s))} {
			if strings.Contains(string(text), form) {
				t.Errorf("the bundle holds %s: %s", s, text)
			}
		}
	}
	t.Chdir(t.TempDir())
	return again, want
}

// gone removes a folder: what a bundle holds must do.
func gone(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
}

// same loads a bundle and compares its builds.
func same(t *testing.T, b *template.Bundle, want map[string][]map[string]any, vars ...string) {
	t.Helper()
	o := testOptions("")
	o.Vars = vars
	tpl, diags := FromBundle(t.Context(), b, o)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if diff := cmp.Diff(want, settings(t, tpl)); diff != "" {
		t.Error(diff)
	}
}

const bundleHCL = `
variable "name"  { default = "none" }
variable "sizes" { type = list(number) }
variable "auto"  { type = object({ a = string, b = optional(bool, true) }) }
variable "here"  { default = env("HERE") }
variable "token" {
  sensitive = true
}
data "fake" "d" { text = var.name }
locals {
  id   = uuidv4()
  now  = timestamp()
  text = "${data.fake.d.text}-${file("inc/a.txt")}-${templatefile("inc/b.tpl", { x = var.name })}"
  all  = [for f in fileset("inc", "*") : f]
}
module "m" {
  source = "./mod"
  in     = var.name
}
source "fake" "one" {
  for_each = { x = 1, y = 2 }
  text     = "${local.text} ${each.key} ${local.id} ${local.now} ${fileexists("none")}"
  number   = var.sizes[1]
  list     = local.all
  secret   = var.token
}
source "fake" "two" {
  matrix = { os = ["a", "b"], n = [1, 2] }
  text   = "${matrix.os} ${matrix.n} ${module.m.out} ${path.cwd} ${abspath("x")} ${var.here} ${uuidv4()}"
  bool   = var.auto.b
}
build {
  name    = "b"
  sources = ["fake.one", "fake.two"]
  provisioner "fake" {
    text = "${var.auto.a} {{ uuid }} ${source.name} ${file("late.txt")}"
    both = build.ID
  }
  post-processor "fake" { text = "{{ isotime }} ${path.root}" }
}
`

var bundleFiles = map[string]string{
	"t/t.pkr.hcl": bundleHCL, "t/inc/a.txt": "file a", "t/inc/b.tpl": "tpl ${x}", "t/late.txt": "late",
	"t/x.auto.pkrvars.hcl": `auto = { a = "from auto" }`, "v.pkrvars.hcl": `sizes = [1, 2, 3]`,
	"t/mod/m.pkr.hcl": "variable \"in\" {}\nlocals { r = uuidv4() }\noutput \"out\" { value = \"${var.in} ${local.r} ${file(\"c.txt\")}\" }",
	"t/mod/c.txt":     "in the module",
}

const token = "very-secret-token"

func TestBundleHCL(t *testing.T) {
	dir := write(t, bundleFiles)
	o := testOptions("t")
	o.Vars, o.VarFiles, o.Environ = []string{"name=given",
		"token=" + token}, []string{"v.pkrvars.hcl"}, []string{"HERE=of the environment", "OTHER=x"}
	o.Except = []string{"b.fake.two-b-2"}
	b, want := bundled(t, o, token, "OTHER")
	if len(want) != 5 {
		t.Fatalf("%d builds", len(want))
	}
	gone(t, dir)
	same(t, b, want, "token="+token)

	// What is secret must be given again.
	_, diags := FromBundle(t.Context(), b, testOptions(""))
	if len(diags) != 1 || !strings.Contains(diags[0].Summary+diags[0].Detail, `"token"`) || !strings.Contains(diags[0].Detail, "PKR_VAR_token") {
		t.Error(diags)
	}
}

func TestBundleJSON(t *testing.T) {
	dir := write(t, map[string]string{"t.json": `{
		"variables": {"name": "none", "token": null, "home": "{{env ` + "`HERE`" + `}}", "pass": "{{env ` + "`PASS`" + `}}", "id": "{{uuid}}", "at": "{{template_dir}} {{pwd}}"},
		"sensitive-variables": ["token", "pass"],
		"builders": [{"type": "fake", "name": "a-{{user ` + "`name`" + `}}", "text": "{{user ` + "`home`" + `}} {{user ` + "`id`" + `}} {{timestamp}}", "secret": "{{user ` + "`token`" + `}}"},
			{"type": "fake", "name": "b", "text": "{{user ` + "`at`" + `}} {{uuid}}", "secret": "{{user ` + "`pass`" + `}}"}],
		"provisioners": [{"type": "fake", "text": "{{user ` + "`name`" + `}} {{build_name}}", "both": "{{build ` + "`ID`" + `}}", "max_retries": "{{user ` + "`n`" + `}}"}],
		"post-processors": ["fake"]}`,
		"v.json": `{"n": "2"}`})
	o := testOptions("t.json")
	o.Vars, o.VarFiles, o.Environ = []string{"name=given",
		"token=" + token}, []string{"v.json"}, []string{"HERE=there", "PASS=pass-word-1"}
	b, want := bundled(t, o, token, "pass-word-1")
	if len(want) != 2 || !strings.Contains(want["fake.b"][0]["text"].(string), dir) {
		t.Fatal(want)
	}
	gone(t, dir)
	o = testOptions("")
	o.Vars, o.Environ = []string{"token=" + token}, []string{"PASS=pass-word-1"}
	tpl, diags := FromBundle(t.Context(), b, o)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if diff := cmp.Diff(want, settings(t, tpl)); diff != "" {
		t.Error(diff)
	}
	tpl, diags = FromBundle(t.Context(), b, testOptions(""))
	if tpl != nil {
		_, more := tpl.Builds(t.Context())
		diags = append(diags, more...)
	}
	var said strings.Builder
	diags.Write(&said, template.WriteOptions{})
	if !strings.Contains(said.String(), `"token"`) || !strings.Contains(said.String(), `"PASS"`) {
		t.Error(said.String())
	}
}

// A template on standard input has no file to read again.
func TestBundleStdin(t *testing.T) {
	o := testOptions("-")
	o.Stdin = strings.NewReader(`{"builders":[{"type":"fake","text":"x {{uuid}}"}]}`)
	b, want := bundled(t, o)
	same(t, b, want)
}

// A file with a secret in it is not kept: it is read again, and must be the same.
func TestBundleFileWithSecret(t *testing.T) {
	dir := write(t, map[string]string{"t.pkr.hcl": `
variable "token" {
  sensitive = true
  default   = "` + token + `"
}
source "fake" "a" {
  text   = file("plain.txt")
  secret = var.token
}
build { sources = ["fake.a"] }
`, "plain.txt": "plain"})
	b, want := bundled(t, testOptions("t.pkr.hcl"), token)
	same(t, b, want)
	if err := os.WriteFile(filepath.Join(dir, "plain.txt"), []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	same(t, b, want) // its text is in the bundle
	if err := os.WriteFile(filepath.Join(dir, "t.pkr.hcl"), []byte("# changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, diags := FromBundle(t.Context(), b, testOptions(""))
	if len(diags) != 1 || !strings.Contains(diags[0].Detail, "t.pkr.hcl has changed since") {
		t.Error(diags)
	}
}

// counter is a data source that counts how often it is asked.
type counter struct {
	Text  string `kiln:"text"`
	asked *atomic.Int32
}

func (c *counter) Read(_ context.Context) (any, error) {
	c.asked.Add(1)
	return map[string]any{"text": c.Text}, nil
}

// The result of a data source is kept; one that holds a secret is asked for again.
func TestBundleData(t *testing.T) {
	dir := write(t, map[string]string{"t.pkr.hcl": `
variable "token" { sensitive = true }
data "counter" "open" { text = "open" }
data "counter" "secret" { text = "with ${var.token}" }
source "fake" "a" {
  text   = data.counter.open.text
  secret = data.counter.secret.text
}
build { sources = ["fake.a"] }
`})
	var asked atomic.Int32
	with := func(path string) template.Options {
		o := testOptions(path)
		o.Vars = []string{"token=" + token}
		o.Components.DataSources["counter"] = func() kiln.DataSource { return &counter{asked: &asked} }
		return o
	}
	b, want := bundled(t, with("t.pkr.hcl"), token)
	gone(t, dir)
	if asked.Store(0); len(b.Data) != 1 {
		t.Error(b.Data)
	}
	tpl, diags := FromBundle(t.Context(), b, with(""))
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if diff := cmp.Diff(want, settings(t, tpl)); diff != "" || asked.Load() != 1 {
		t.Errorf("asked %d times: %s", asked.Load(), diff)
	}
}
