package load

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kiln/internal/template"
)

// A template from outside may be anything: loading and checking it must end, and
// every problem must be a diagnostic.

func FuzzLoadJSON(f *testing.F) {
	for _, s := range []string{
		`{"builders":[{"type":"fake","name":"a","text":"{{user ` + "`x`" + `}}"}],"variables":{"x":"1","y":null}}`,
		`{"builders":[{"type":"fake"}],"provisioners":[{"type":"fake","only":["fake"],"override":{"fake":{"number":3}},"max_retries":"2","pause_before":"1s"}],"post-processors":["fake",["fake",{"type":"fake","keep_input_artifact":true}]]}`,
		`{"builders":[{"type":"fake","list":"a,b","number":"7","bool":"true","nested":{"inner":"x"}}],"_c":"comment","min_packer_version":"1.0"}`,
		`{"variables":{"a":"{{user ` + "`b`" + `}}","b":"{{user ` + "`a`" + `}}"},"builders":[{"type":"fake"}]}`,
		`[1,2`, `{"builders":{}}`, `{"a":1,"a":2}`, "\x00", `{"builders":[{"type":"fake","text":"{{build ` + "`ID`" + `}}{{.X}}"}]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o := testOptions("-")
		o.Stdin = strings.NewReader(text)
		exercise(t, o)
	})
}

func FuzzLoadHCL(f *testing.F) {
	for _, s := range []string{
		`source "fake" "a" { text = "x" }` + "\n" + `build { sources = ["fake.a"] }`,
		`variable "v" { type = object({a=optional(string,"d")}) default = {} validation { condition = length(var.v.a) > 0 error_message = "No." } }`,
		`locals { a = local.b b = local.a }` + "\n" + `build { dynamic "provisioner" { for_each = [1] labels = ["fake"] content { text = "${build.ID}" } } }`,
		`source "fake" "a" {}` + "\n" + `build { source "fake.a" { name = "b" number = 3 } provisioner "fake" { only = ["fake.b"] override = { b = { text = "y" } } timeout = "1s" } post-processors { post-processor "fake" {} } }`,
		`variable "s" { sensitive = true default = { a = ["pa-ss", 1] } }` + "\n" + `locals { x = upper(var.s.a[0]) y = { for k, v in var.s : k => v... } z = "%{ if var.s.a[1] > 0 }${jsonencode(var.s)}%{ endif }" }` + "\n" +
			`source "fake" "a" { for_each = var.s map = { (local.x) = local.z } dynamic "many" { for_each = var.s.a content { inner = many.value } } }` + "\n" + `build { sources = [var.s.a[0]] provisioner "fake" { override = var.s name = local.x timeout = var.s.a } }`,
		`packer { required_version = ">= 1.0" required_plugins { x = { version = "1.0" source = "a/b/c" } } }`,
		`data "fake" "d" { text = local.x }` + "\n" + `locals { x = try(jsondecode("{"), "y") }`,
		`source "fake" "a" { matrix = { x = ["a", 1], y = [true] }  text = "${matrix.x}" }` + "\n" + `build { name = "n" for_each = { k = "v" } sources = ["fake.a"] steps "s" {} }` + "\n" + `steps "s" { provisioner "fake" { text = "${each.key}${source.name}" } }`,
		`source "fake" "a" { text = artifact.n.a.id }` + "\n" + `build { name = "n" sources = ["fake.a"] }` + "\n" + `build { name = "m" source "fake.a" { list = artifact["n"].a.files } provisioner "fake" { text = artifact[each.value] } }`,
		`module "m" { source = "." v = 1 }` + "\n" + `output "o" { value = module.m.o }` + "\n" + `hcp_packer_registry { bucket_name = 5 }`,
		"x = ((((((1", "\xff\xfe", `build { name = var.zz sources = [1] }`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "file") || strings.Contains(text, "range") || strings.Contains(text, "bcrypt") || strings.Contains(text, "pow") {
			return // functions that read files, or that do much work because they are asked to
		}
		path := filepath.Join(t.TempDir(), "t.pkr.hcl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		exercise(t, testOptions(path))
	})
}

// exercise does with a template all that validate and inspect do.
func exercise(t *testing.T, o template.Options) {
	tmpl, diags := Template(t.Context(), o)
	for _, d := range diags {
		if d.Summary == "" && d.Detail == "" {
			t.Errorf("a diagnostic that says nothing: %+v", d)
		}
	}
	if diags.HasErrors() {
		return
	}
	tmpl.Validate()
	tmpl.Dump()
	tmpl.Eval("var.v")
	builds, diags := tmpl.Builds(t.Context())
	for _, b := range builds {
		diags = append(diags, b.Check()...)
	}
	var out strings.Builder
	diags.Write(&out, template.WriteOptions{})
}
