package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"kiln/internal/redact"
	"kiln/internal/template/function"
)

// made are expressions that make something else of the secrets below, at least one of
// each function.
var made = []string{`upper(var.pw)`, `lower(var.pw)`, `title(var.pw)`, `strrev(var.pw)`, `substr(var.pw, 1, 6)`,
	`format("%-20s|%q", var.pw, upper(var.pw))`, `formatlist("%s!", split("-", var.pw))`, `indent(2, replace(var.lines, "e", "3"))`,
	`chomp("${strrev(var.pw)}\n")`, `join("_", split("-", var.pw))`, `split("-", var.pw)`, `replace(var.pw, "-", "+")`,
	`regex_replace(var.pw, "[0-9]", "x")`, `regex("-.*", var.pw)`, `regexall("[A-Z][a-z]+", var.pw)`,
	`trim(var.pw, "sd")`, `trimprefix(var.pw, "s3")`, `trimsuffix(var.pw, "rd")`, `trimspace(" ${substr(var.pw, 2, 7)} ")`,
	`base64encode(upper(var.pw))`, `base64decode(base64encode(lower(var.pw)))`, `base64gzip(var.pw)`, `urlencode("${upper(var.pw)} &")`,
	`textencodebase64(var.pw, "UTF-16LE")`, `textdecodebase64(textencodebase64(upper(var.pw), "UTF-16LE"), "UTF-16LE")`,
	`md5(var.pw)`, `sha1(var.pw)`, `sha256(var.pw)`, `sha512(var.pw)`, `uuidv5("dns", var.pw)`, `bcrypt(var.pw, 4)`,
	`jsonencode({ a = upper(var.pw) })`, `jsondecode(var.doc).field`, `jsondecode(var.doc)`, `yamlencode({ a = upper(var.pw) })`,
	`yamldecode(var.yaml).field`, `csvdecode(var.csv)[0].field`, `element(split("-", var.pw), 1)`, `slice(split("-", var.pw), 0, 1)`,
	`reverse(split("-", var.pw))`, `sort(split("-", var.pw))`, `concat(["a-word"], split("-", var.pw))`, `compact(["", upper(var.pw)])`,
	`distinct([upper(var.pw), "a-word"])`, `flatten([["a-word"], split("-", var.pw)])`, `chunklist(split("-", var.pw), 1)`,
	`coalesce("", lower(var.pw))`, `coalescelist([], split("-", var.pw))`, `zipmap(["a"], [lower(var.pw)])`, `merge({ a = "a-word" }, { b = upper(var.pw) })`,
	`keys({ (upper(var.pw)) = 1 })`, `values({ a = upper(var.pw) })`, `lookup({ a = upper(var.pw) }, "a", "z")`, `lookup({}, "a", upper(var.pw))`,
	`setunion(split("-", var.pw), ["a-word"])`, `setintersection([upper(var.pw)], [upper(var.pw)])`, `setproduct(split("-", var.pw), ["a-word"])`,
	`parseint(substr(md5(var.pw), 0, 8), 16)`, `abs(var.num)`, `ceil(var.num / 3)`, `floor(var.num / 7)`, `max(var.num, 1)`, `min(var.num, 99999999)`,
	`pow(var.num, 2)`, `sum([var.num, 1000])`, `log(var.num, 10)`, `signum(var.num)`, `range(var.num, var.num + 3)`, `length(var.pw)`,
	`index(split("-", var.pw), "Word")`, `contains(split("-", var.pw), "Word")`, `startswith(var.pw, "s")`, `endswith(var.pw, "s")`,
	`strcontains(var.pw, "s")`, `alltrue([var.pw != ""])`, `anytrue([var.pw != ""])`, `can(upper(var.pw))`, `try(upper(var.pw), "z")`,
	`convert(upper(var.pw), string)`, `sensitive("made-secret")`, `upper(sensitive("made-secret"))`,
	`templatefile("t.tpl", { pw = var.pw, x = "a-word" })`, `file(var.path)`, `fileexists(var.path)`, `fileset(var.dir, "*.txt")`,
	`abspath(strrev(var.pw))`, `basename("/a/${strrev(var.pw)}")`, `dirname("${strrev(var.pw)}/a")`, `pathexpand("~/${strrev(var.pw)}")`,
	`formatdate("YYYY", var.time)`, `timeadd(var.time, "1h")`, `rfc3339_parse(var.time).unix`, `unix_timestamp_parse(var.num).rfc3339`,
	`cidrhost(var.net, 5)`, `cidrnetmask(var.net)`, `cidrsubnet(var.net, 8, 2)`, `cidrsubnets(var.net, 4, 4)`,
	`vault("upper", "a-key")`, `upper(vault("upper", "a-key"))`, `aws_secretsmanager("n", "secret-a")`, `lower(aws_secretsmanager_raw("RAW-Secret"))`,
	`[for c in split("", var.pw) : c]`, `join("", [for c in split("", var.pw) : "${c}."])`, `{ for k, v in { a = var.pw } : k => upper(v) }`,
	`var.pw == "x" ? upper(var.pw) : lower(var.pw)`, `var.users["alice"]`, `upper(var.users.alice)`, `values(var.users)[*]`, `local.cut`, `local.box.inner`,
	`rsadecrypt("aGk=", var.pw)`, `module.m.out`, `var.num + 1`, `-var.num`, `var.num * 3`}

const secretTemplate = `
variable "pw" {
  sensitive = true
  default   = "s3cr3t-Word"
}
variable "lines" {
  sensitive = true
  default   = "line-one-secret\nline-two-secret\n}"
}
variable "num" {
  sensitive = true
  default   = 471147
}
variable "doc" {
  sensitive = true
  default   = "{\"field\":\"inner-Field\",\"list\":[\"inner-List\"]}"
}
variable "yaml" {
  sensitive = true
  default   = "field: yaml-Field"
}
variable "csv" {
  sensitive = true
  default   = "field,b\ncsv-Field,2"
}
variable "users" {
  sensitive = true
  default   = { alice = "alice-Key", bob = "bob-Key" }
}
variable "path" {
  sensitive = true
  default   = "hidden.txt"
}
variable "dir" {
  sensitive = true
  default   = "./hidden-dir"
}
variable "time" {
  sensitive = true
  default   = "2026-11-21T01:02:03Z"
}
variable "net" {
  sensitive = true
  default   = "10.0.0.0/8"
}
locals {
  cut = "${substr(var.pw, 0, 3)}+${substr(var.pw, 3, 3)}"
  box = { inner = upper(var.pw), outer = "a-word" }
}
module "m" {
  source = "./m"
  pw     = var.pw
}
source "fake" "x" { map = { made = jsonencode(EXPR) } }
build {
  sources = ["fake.x"]
  provisioner "fake" { text = jsonencode(EXPR) }
}
`

const secretModule = `
variable "pw" { type = string }
output "out" { value = strrev(var.pw) }
source "fake" "x" { text = upper(var.pw) }
build { sources = ["fake.x"] }
`

// fakeServices answers functions that ask for secrets, and hides as the real ones do.
type fakeServices struct{ hide func(string) }

func (s fakeServices) say(text string) (string, error) { s.hide(text); return text, nil }

func (s fakeServices) Vault(a, b string) (string, error)    { return s.say(a + "." + b) }
func (s fakeServices) Consul(key string) (string, error)    { return key, nil }
func (s fakeServices) AWS(name, key string) (string, error) { return s.say(name + "." + key) }
func (s fakeServices) AWSRaw(name string) (string, error)   { return s.say(name) }

// plain are the texts that an expression gives where nothing is a secret: what must not be
// seen, but for what stands in the template in clear.
func plain(t *testing.T, expr string) (texts []string) {
	t.Helper()
	rewrite(t, strings.ReplaceAll(strings.ReplaceAll(secretTemplate, "EXPR", expr), "sensitive = true", ""))
	o := testOptions("t.pkr.hcl")
	o.Secrets = fakeServices{func(string) {}}
	tpl, diags := Template(t.Context(), o)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	_, _ = tpl.Builds(t.Context())
	text, diags := tpl.Eval("nonsensitive(jsonencode(" + expr + "))")
	var doc any
	if err := json.Unmarshal([]byte(text), &doc); err != nil && !diags.HasErrors() {
		t.Errorf("%s: %v in %s", expr, err, text)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for _, item := range v { // names of fields are no secrets
				walk(item)
			}
		case float64:
			walk(strconv.FormatFloat(v, 'f', -1, 64))
		case string:
			for line := range strings.SplitSeq(v, "\n") {
				if line = strings.TrimSpace(line); len(line) >= 4 && !strings.Contains(line, "a-word") {
					texts = append(texts, line)
				}
			}
		}
	}
	walk(doc)
	return texts
}

func rewrite(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile("t.pkr.hcl", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestMadeOfSecrets makes something of secrets by each function of the language, and looks
// for it in all that is kept of a template, and in what is printed.
func TestMadeOfSecrets(t *testing.T) {
	write(t, map[string]string{"hidden.txt": "text-of-the-hidden-file\nfi\n", "hidden-dir/in-hidden.txt": "",
		"t.tpl":       "x=${x} a-word\nlow=${lower(pw)}\n%{ if pw != \"\" }\nrev=${strrev(pw)}\n%{ endif }\n",
		"m/m.pkr.hcl": secretModule})
	used := strings.Join(made, "\n")
	for _, name := range function.Names() {
		if !strings.Contains(used, name+"(") && !clear[name] {
			t.Errorf("the function %s is not tried", name)
		}
	}
	for _, expr := range made {
		texts := plain(t, expr)
		r := new(redact.Redactor)
		o := testOptions("t.pkr.hcl")
		o.Hide, o.Secret, o.Secrets = r.Add, r.Holds, fakeServices{r.Add}
		rewrite(t, strings.ReplaceAll(secretTemplate, "EXPR", expr))
		tpl, diags := Template(t.Context(), o)
		builds, more := tpl.Builds(t.Context())
		if diags = append(diags, more...); diags.HasErrors() || len(builds) == 0 {
			t.Errorf("%s: %v", expr, diags)
			continue
		}
		var settings []any
		var said string
		for _, b := range builds {
			for _, c := range b.Components() {
				_, diags := c.Decode(nil)
				settings, said = append(settings, c.Settings()), said+fmt.Sprint(diags)
			}
		}
		bundle, err := tpl.Bundle()
		if err != nil {
			if !strings.HasPrefix(expr, "rsadecrypt") {
				t.Errorf("%s: %v", expr, err)
			}
			continue
		}
		kept, err := json.Marshal([]any{settings, bundle})
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := tpl.Eval(expr)
		var out bytes.Buffer
		s := r.Stream(&out)
		fmt.Fprintln(s, said, tpl.Dump(), answer, strings.Join(texts, "\n"), "a-word")
		s.Flush()
		for _, text := range texts {
			if bcrypted := strings.HasPrefix(text, "$2a"); bcrypted {
				continue // another one each time
			}
			if strings.Contains(out.String(), text) || strings.Contains(string(kept), text) {
				t.Errorf("%s: %q shows in %s or\n%s", expr, text, &out, kept)
			}
		}
		if !strings.HasSuffix(out.String(), "a-word\n") {
			t.Errorf("%s hides what stands in clear: %s", expr, &out)
		}
		if !strings.Contains(string(kept), `"made":"\u003csensitive\u003e"`) && !strings.HasPrefix(expr, "can(") {
			t.Errorf("%s: its option is kept: %s", expr, kept)
		}
	}
}

// clear are functions that are given no secrets. (That a secret names a file does not make
// a secret of the file, which is kept as it is.)
var clear = map[string]bool{"filebase64": true, "consul_key": true, "timestamp": true, "uuidv4": true, "legacy_isotime": true,

	"legacy_strftime": true, "nonsensitive": true}
