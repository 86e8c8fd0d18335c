package load

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"kiln/internal/redact"
	"kiln/internal/template"
)

// places are templates with a secret wherever one may stand, and words of what is said of
// it; "": nothing.
var places = []struct{ text, said string }{
	{`build { sources = [var.pw] }`, "Invalid source reference"},
	{`build { sources = var.list }`, ""},
	{`source "fake" "a" { for_each = var.map }`, "which the names of the instances would show"},
	{`source "fake" "a" { for_each = [var.pw] }`, "which the names of the instances would show"},
	{`source "fake" "a" { for_each = split("-", var.pw) }`, "which the names"},
	{`source "fake" "a" {
  for_each = { k = var.pw }
  text     = upper(each.value)
}`, ""},
	{`source "fake" "a" {
  for_each = nonsensitive(var.map)
  text     = each.value
}`, ""},
	{`source "fake" "a" { matrix = { a = [var.pw] } }`, "which the names"},
	{`source "fake" "a" { matrix = var.map }`, "which the names"},
	{`build {
  name = upper(var.pw)
  description = var.pw
  sources = ["fake.x"]
}`, ""},
	{`build {
  sources = ["fake.x"]
  provisioner "fake" {
    name         = upper(var.pw)
    pause_before = var.time
    timeout      = var.time
    max_retries  = var.number
    only         = [var.pw]
    cache        = var.pw != "x"
  }
}`, ""},
	{`build {
  sources = ["fake.x"]
  provisioner "fake" {
    pause_before = var.pw
  }
}`, "Failed to parse pause_before duration"},
	{`build {
  sources = ["fake.x"]
  provisioner "fake" {
    override = { x = { text = upper(var.pw), list = [var.pw, "a-word"], map = { k = var.pw } } }
  }
  provisioner "fake" { override = { x = var.map } }
  provisioner "fake" { override = var.overrides }
}`, ""},
	{`build {
  sources = ["fake.x"]
  dynamic "provisioner" {
    for_each = var.list
    labels   = ["fake"]
    content { text = strrev(provisioner.value) }
  }
}`, ""},
	{`build {
  sources = ["fake.x"]
  dynamic "provisioner" {
    for_each = [1]
    labels   = [var.pw]
    content {}
  }
}`, "A label is shown"},
	{`source "fake" "a" {
  dynamic "many" {
    for_each = var.map
    content { inner = upper(many.value) }
  }
  nested { inner = strrev(var.pw) }
}`, ""},
	{`source "fake" "a" {
  text   = var.pw
  number = var.number
  bool   = var.pw != ""
  maybe  = var.pw == ""
  wait   = var.time
  list   = concat(["a-word"], split("-", var.pw))
  map    = { (upper(var.pw)) = "v", k = lower(var.pw) }
  both   = "{{ upper ` + "`${strrev(var.pw)}`" + ` }}"
  run    = "{{ .X }} ${var.pw}"
  secret = var.pw
}`, ""},
	{`source "fake" "a" { one = var.pw }`, "is not one of red, green"},
	{`source "fake" "a" { number = var.pw }`, "a number is required"},
	{`source "fake" "a" { list = var.pw }`, "list of string"},
	{`source "fake" "a" { wait = var.pw }`, "invalid duration"},
	{`variable "checked" {
  sensitive = true
  default   = "checked-value"
  validation {
    condition     = length(var.checked) > 3 && can(regex("c", var.checked))
    error_message = "It is short."
  }
}`, ""},
	{`variable "checked" {
  sensitive = true
  default   = "no"
  validation {
    condition     = length(var.checked) > 3
    error_message = "It is short."
  }
}`, "It is short."},
	{`variable "typed" {
  sensitive = true
  type      = object({ a = optional(string, "dflt"), b = list(number) })
  default   = { b = [4711] }
}
locals { t = "${var.typed.a} ${var.typed.b[0]}" }`, ""},
	{`locals {
  c = var.pw != "" && var.pw == "x" || !(var.number > 3)
  d = var.list[0]
  e = { a-word = 1 }[var.pw == "" ? "x" : "a-word"]
  f = [for k, v in var.map : "${k}=${v}" if v != ""]
  g = { for v in var.list : v => v }
  h = var.list[*]
  i = "%{ for v in var.list }${v}%{ endfor }"
  j = max(var.number...)
}`, "Invalid expanding"},
	{`locals {
  f = [for k, v in var.map : "${k}=${v}" if v != ""]
  g = { for v in var.list : upper(v) => v... }
  h = var.list[*]
  i = "%{ for v in var.list }${v}%{ endfor }"
  j = -var.number + var.number % 3
  k = !(var.number > 3)
}`, ""},
	{`local "l" {
  expression = { a = ["local-Secret"], n = 47114711 }
  sensitive  = true
}
source "fake" "a" { text = upper(local.l.a[0]) }`, ""},
	{`data "fake" "d" { text = upper(var.pw) }
source "fake" "a" { text = data.fake.d.text }`, ""},
	{`hcp_packer_registry {
  bucket_name = var.pw
  description = var.pw
}`, ""},
	{`build { sources = [for v in split("-", var.pw) : upper(v)] }`, "Invalid source reference"},
	{`locals { e = jsondecode(var.pw) }`, "Error in function call"},
	{`locals { e = parseint(var.pw, 10) }`, "Invalid function argument"},
	{`locals { e = base64decode(strrev(var.pw)) }`, "failed to decode"},
	{`locals { e = uuidv5(substr(var.pw, 0, 3), "x") }`, "a value that is sensitive"},
	{`variable "p" {
  sensitive = true
  default   = "p"
}`, "too short to be hidden well"},
	{`source "fake" "a" { secret = "abc" }
build { sources = ["fake.a"] }`, "too short to be hidden well"},
}

const placeTemplate = `
variable "pw" {
  sensitive = true
  default   = "s3cr3t-Word"
}
variable "list" {
  sensitive = true
  default   = ["fake.x"]
}
variable "map" {
  sensitive = true
  type      = map(string)
  default   = { text = "map-Value" }
}
variable "overrides" {
  sensitive = true
  default   = { x = { text = "over-Ride" } }
}
variable "number" {
  sensitive = true
  default   = 3000
}
variable "time" {
  sensitive = true
  default   = "3000s"
}
source "fake" "x" {}
build {
  name    = "first"
  sources = ["fake.x"]
}
`

// TestSecretPlaces puts secrets wherever a value may stand.
func TestSecretPlaces(t *testing.T) {
	write(t, nil)
	for _, c := range places {
		text := placeTemplate + c.text
		if strings.Contains(text, `"fake" "a"`) && !strings.Contains(text, "fake.a") {
			text += "\nbuild { sources = [\"fake.a\"] }\n"
		}
		rewrite(t, text)
		r := new(redact.Redactor)
		o := testOptions("t.pkr.hcl")
		o.Hide, o.Secret = r.Add, r.Holds
		tpl, diags := Template(t.Context(), o)
		var kept []byte
		if !diags.HasErrors() {
			builds, more := tpl.Builds(t.Context())
			diags = append(diags, more...)
			var all []any
			for _, b := range builds {
				diags = append(diags, b.Check()...)
				for _, c := range b.Components() {
					all = append(all, c.Settings())
				}
			}
			kept, _ = json.Marshal(all)
		}
		said := fmt.Sprint(diags)
		quiet := len(diags) == 0 || strings.Contains(c.text, "registry")
		if c.said == "" && !quiet || !strings.Contains(said, c.said) {
			t.Errorf("%s\nsays %s", c.text, said)
		}
		if strings.Contains(strings.ToLower(said), "s3c") && !r.Holds(said) {
			t.Errorf("%s\nshows its secret: %s", c.text, said)
		}
		for _, secret := range []string{"s3cr3t", "S3CR3T", "droW", "DROW", "map-Value", "MAP-VALUE", "over-Ride",
			"local-", "LOCAL-"} {
			if strings.Contains(string(kept), secret) && !strings.Contains(c.text, "nonsensitive(var.map)") {
				t.Errorf("%s\nkeeps %s", c.text, kept)
			}
		}
	}
}

// TestSecretChoosesAmongWords hides no word of the template that a secret only chose.
func TestSecretChoosesAmongWords(t *testing.T) {
	_, builds, said := load(t, `
variable "pw" {
  sensitive = true
  default   = "s3cr3t-Word"
}
variable "on" { default = "switched-on" }
source "fake" "x" {
  text = var.pw != "" ? "enabled" : "disabled"
  both = var.pw != "" ? var.on : "x"
  list = [coalesce("", "a-default"), "${var.pw != "" ? "chosen" : ""}"]
}
build { sources = ["fake.x"] }
`, func(o *template.Options) {
		r := new(redact.Redactor)
		o.Secret = r.Holds
		o.Hide = func(text string) {
			r.Add(text)
			if text != "s3cr3t-Word" {
				t.Errorf("hides %q", text)
			}
		}
	})
	if len(builds) != 1 || said != "" {
		t.Fatal(said)
	}
	if got := fmt.Sprint(builds[0].Builder.Settings()); got !=
		"map[both:<sensitive> list:[a-default <sensitive>] number:1 text:<sensitive>]" {
		t.Error(got)
	}
}

// TestSecretsInJSON has the same marks in the JSON syntax of HCL2.
func TestSecretsInJSON(t *testing.T) {
	write(t, nil)
	for text, want := range map[string]string{
		`"map": {"k": "${upper(var.pw)}"}`:                      "",
		`"map": {"${var.pw}": "v"}`:                             "A name is shown",
		`"list": ["${strrev(var.pw)}"], "text": "${var.pw}"`:    "",
		`"nested": {"inner": "${upper(var.pw)}"}`:               "",
		`"many": [{"inner": "${upper(var.pw)}"}, {"inner":""}]`: "",
	} {
		doc := `{"variable": {"pw": {"sensitive": true, "default": "s3cr3t-Word"}},
			"source": {"fake": {"x": {` + text + `}}}, "build": [{"sources": ["fake.x"]}]}`
		if err := os.WriteFile("t.pkr.json", []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
		tpl, diags := Template(t.Context(), testOptions("t.pkr.json"))
		builds, more := tpl.Builds(t.Context())
		var kept string
		for _, b := range builds {
			more = append(more, b.Check()...)
			kept += fmt.Sprint(b.Builder.Settings())
		}
		diags = append(diags, more...)
		if said := fmt.Sprint(diags); !strings.Contains(said, want) || want == "" && len(diags) > 0 {
			t.Errorf("%s: %s", text, said)
		}
		if strings.Contains(strings.ToLower(kept), "s3cr3t") || strings.Contains(kept, "droW") {
			t.Errorf("%s: %s", text, kept)
		}
	}
}

// TestSecretsInLegacyText makes something of secrets by the functions of {{ }} text.
func TestSecretsInLegacyText(t *testing.T) {
	write(t, nil)
	for call, shown := range map[string]string{
		"upper (user `pw`)": "S3CR3T-WORD", "user `pw` | lower": "s3cr3t-word", "split (user `pw`) `-` 0": "s3cr3t",
		"replace `3` `e` 1 (user `pw`)": "secr3t-Word", "replace_all `3` `e` (user `pw`)": "secret-Word",
		"slice (user `pw`) 1 9": "3cr3t-Wo", "printf `%q` (user `pw` | upper)": `S3CR3T-WORD`, "printf `%x` (user `pw`)": "733363723374",
		"user `made`": "S3CR3T-WORD", "upper (user `part`)": "THE S3CR3T-WORD", "js (user `quoted`)": `a\"b-c`,
		"html (user `quoted`)": "a&#34;b-c", "urlquery (user `quoted`)": "a%22b-c", "user `asked`": "PATH.KEY", "slice (user `pw`) 0 3": "",
	} {
		doc := "{\"variables\": {\"pw\": \"s3cr3t-Word\", \"quoted\": \"a\\\"b-c\", \"made\": \"{{user `pw` | upper}}\"," +
			"\"part\": \"the {{user `pw`}}\", \"asked\": \"{{vault `path` `key` | upper}}\"}," +
			"\"sensitive-variables\": [\"pw\", \"quoted\"]," +
			"\"builders\": [{\"type\": \"fake\", \"text\": \"x {{" + call + "}}\", \"list\": \"a-word,{{" + call + "}}\"}]}"
		if err := os.WriteFile("t.json", []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
		r := new(redact.Redactor)
		o := testOptions("t.json")
		o.Hide, o.Secret, o.Secrets = r.Add, r.Holds, fakeServices{r.Add}
		tpl, diags := Template(t.Context(), o)
		builds, more := tpl.Builds(t.Context())
		if diags = append(diags, more...); len(builds) != 1 {
			t.Errorf("%s: %v", call, diags)
			continue
		}
		diags = append(diags, builds[0].Check()...)
		got := fmt.Sprint(builds[0].Builder.Settings())
		if got != "map[list:<sensitive> number:1 text:<sensitive>]" || len(diags) > 0 {
			t.Errorf("%s: kept %s, %v", call, got, diags)
		}
		if shown != "" && !r.Holds("x "+shown+" y") {
			t.Errorf("%s: %s is not hidden", call, shown)
		}
		if got, _ := tpl.Eval("{{" + call + "}}"); got != "<sensitive>" {
			t.Errorf("%s: the console shows %q", call, got)
		}
	}
}
