package function

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/json"

	"kiln/schema"
)

// cases are expressions with their value as JSON, or with "!" and words of the
// error.
var cases = []struct{ expr, want string }{
	{`abs(-3)`, `3`}, {`ceil(1.2)`, `2`}, {`floor(-1.2)`, `-2`}, {`signum(-7)`, `-1`}, {`max(1,3,2)`, `3`}, {`min(1,3,2)`, `1`}, {`log(8,2)`, `3`},
	{`pow(2,10)`, `1024`}, {`parseint("ff",16)`, `255`}, {`parseint("z",10)`, `!cannot parse`}, {`sum([1,2,3])`, `6`}, {`sum([])`, `!empty list`},
	{`chomp("a\n\n")`, `"a"`}, {`format("%03d %s %q", 7, "x", "y")`, `"007 x \"y\""`}, {`formatlist("%s!", ["a","b"])`, `["a!","b!"]`}, {`indent(2,"a\nb")`, `"a\n  b"`},
	{`join("-",["a","b"])`, `"a-b"`}, {`split(",","a,b")`, `["a","b"]`}, {`lower("ÄB")`, `"äb"`}, {`upper("äb")`, `"ÄB"`}, {`title("a b")`, `"A B"`},
	{`replace("a/b/","/b/","x")`, `"ax"`}, {`regex_replace("aab","a+","${"$"}0-")`, `"aa-b"`}, {`regex("(\\d+)-(\\d+)","a 12-34")`, `["12","34"]`}, {`regex("x","a")`, `!did not match`},
	{`regexall("\\d","a1b2")`, `["1","2"]`}, {`startswith("abc","ab")`, `true`}, {`endswith("abc","bc")`, `true`}, {`strcontains("abc","d")`, `false`}, {`strrev("añb")`, `"bña"`},
	{`substr("hello",-3,-1)`, `"llo"`}, {`trim("xxaxx","x")`, `"a"`}, {`trimprefix("ab","a")`, `"b"`}, {`trimsuffix("ab","b")`, `"a"`}, {`trimspace(" a ")`, `"a"`},
	{`alltrue([])`, `true`}, {`alltrue([true,false])`, `false`}, {`anytrue([])`, `false`}, {`anytrue([false,true])`, `true`}, {`chunklist([1,2,3],2)`, `[[1,2],[3]]`},
	{`coalesce(null,"","b")`, `"b"`}, {`coalesce("","")`, `!no non-null`}, {`coalescelist([],[1])`, `[1]`}, {`compact(["a","",null])`, `["a"]`}, {`concat([1],[2])`, `[1,2]`},
	{`contains(["a"],"a")`, `true`}, {`distinct(["a","a"])`, `["a"]`}, {`element(["a","b"],3)`, `"b"`}, {`element(["a"],-1)`, `!negative index`}, {`flatten([[1],[2,[3]]])`, `[1,2,3]`},
	{`index(["a","b"],"b")`, `1`}, {`index([],"b")`, `!empty list`}, {`index(["a"],"b")`, `!not found`}, {`keys({b=1,a=2})`, `["a","b"]`}, {`length("añb")`, `3`}, {`length([1,2])`, `2`}, {`length({a=1})`, `1`},
	{`length(5)`, `!must be a string`}, {`lookup({a="x"},"b","z")`, `"z"`}, {`lookup({a="x"},"b")`, `!Not enough function arguments`}, {`merge({a=1},{a=2})`, `{"a":2}`}, {`range(3)`, `[0,1,2]`}, {`reverse([1,2])`, `[2,1]`},
	{`setintersection(["a","b"],["b"])`, `["b"]`}, {`setunion(["a"],["b"])`, `["a","b"]`}, {`length(setproduct(["a"],["b","c"]))`, `2`}, {`slice([1,2,3],1,2)`, `[2]`}, {`slice([1],0,5)`, `!end`}, {`sort(["b","a"])`, `["a","b"]`},
	{`values({b=1,a=2})`, `[2,1]`}, {`zipmap(["a"],[1])`, `{"a":1}`}, {`base64encode("hi")`, `"aGk="`}, {`base64decode("aGk=")`, `"hi"`}, {`base64decode("%")`, `!failed to decode`}, {`base64decode("/w==")`, `!UTF-8`},
	{`length(base64gzip("x")) > 10`, `true`}, {`textencodebase64("ä","ISO-8859-1")`, `"5A=="`}, {`textdecodebase64("5A==","ISO-8859-1")`, `"ä"`}, {`textencodebase64("a","no")`, `!not a supported IANA`},
	{`csvdecode("a,b\n1,2")`, `[{"a":"1","b":"2"}]`}, {`jsondecode("[1]")`, `[1]`}, {`jsondecode("[")`, `!EOF`}, {`jsonencode({a=1})`, `"{\"a\":1}"`}, {`yamldecode("a: 1").a`, `1`}, {`yamlencode({a="b"})`, `"\"a\": \"b\"\n"`}, {`urlencode("a b&")`, `"a+b%26"`},
	{`basename("/a/b")`, `"b"`}, {`dirname("/a/b")`, `"/a"`}, {`file("f.txt")`, `"text\n"`}, {`file("none")`, `!no file exists at`}, {`file("bin")`, `!not valid UTF-8`}, {`fileexists("f.txt")`, `true`}, {`fileexists("no")`, `false`}, {`fileexists("sub")`, `!not a regular file`},
	{`fileset(".","*.txt")`, `["f.txt"]`}, {`fileset(".","**/*.md")`, `["sub/r.md"]`}, {`templatefile("t.tpl",{name="x"})`, `"hello x"`}, {`templatefile("t.tpl",{})`, `!does not contain key "name"`}, {`templatefile("one.tpl",{v=[1]})`, `[1]`},
	{`pathexpand("/a")`, `"/a"`}, {`formatdate("YYYY-MM-DD","2026-11-21T01:02:03Z")`, `"2026-11-21"`}, {`timeadd("2026-11-21T01:02:03Z","1h")`, `"2026-11-21T02:02:03Z"`}, {`legacy_isotime()`, `"2026-11-21T14:05:09Z"`},
	{`legacy_isotime("2006")`, `"2026"`}, {`legacy_strftime("%d.%m.")`, `"21.11."`}, {`rfc3339_parse("2026-11-21 14:05:09Z").weekday_name`, `"Saturday"`}, {`rfc3339_parse("x")`, `!no RFC 3339`}, {`unix_timestamp_parse(0).rfc3339`, `"1970-01-01T00:00:00Z"`},
	{`md5("")`, `"d41d8cd98f00b204e9800998ecf8427e"`}, {`sha1("")`, `"da39a3ee5e6b4b0d3255bfef95601890afd80709"`}, {`length(sha256(""))`, `64`}, {`length(sha512(""))`, `128`}, {`length(bcrypt("x",4))`, `60`}, {`bcrypt("x",31)`, `!too high`},
	{`rsadecrypt("%","")`, `!base64`}, {`length(uuidv4())`, `36`}, {`uuidv5("dns","example.com")`, `"cfbff0d1-9375-5685-968c-48ce8b15ae17"`}, {`uuidv5("x","y")`, `!namespace`},
	{`cidrhost("10.0.0.0/8",5)`, `"10.0.0.5"`}, {`cidrhost("10/8",5)`, `!invalid CIDR`}, {`cidrnetmask("10.0.0.0/8")`, `"255.0.0.0"`}, {`cidrnetmask("::/8")`, `"ff00::"`}, {`cidrnetmask("x")`, `!CIDR`}, {`cidrsubnet("10.0.0.0/8",8,2)`, `"10.2.0.0/16"`}, {`cidrsubnets("10.0.0.0/8",8,8)`, `["10.0.0.0/16","10.1.0.0/16"]`},
	{`convert("5",number)`, `5`}, {`convert("x",number)`, `!number is required`}, {`can(jsondecode("["))`, `false`}, {`try(jsondecode("["),"d")`, `"d"`}, {`vault("a","b")`, `"a.b"`}, {`vault("a","")`, `!no such secret`}, {`consul_key("k")`, `"k"`}, {`aws_secretsmanager("n","k")`, `"n.k"`}, {`aws_secretsmanager("n",null)`, `"n."`}, {`aws_secretsmanager("n")`, `!Not enough function arguments`}, {`aws_secretsmanager_raw("n")`, `"n"`}, {`1/0 > 5`, `true`},
}

func TestFunctions(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"f.txt": "text\n", "bin": "\xff\xfe", "sub/r.md": "", "t.tpl": "hello ${name}", "one.tpl": "${v}"} {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	functions := Functions(Options{Dir: dir, Start: time.Date(2026, 11, 21, 14, 5, 9, 0, time.UTC), Secrets: fakeSecrets{}})
	ctx := &hcl.EvalContext{Functions: functions}
	for _, c := range append(slices.Clone(cases), more...) {
		expr, diags := hclsyntax.ParseExpression([]byte(c.expr), "x", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatalf("%s: %v", c.expr, diags)
		}
		v, diags := expr.Value(ctx)
		if words, ok := strings.CutPrefix(c.want, "!"); ok {
			if !strings.Contains(diags.Error(), words) {
				t.Errorf("%s: got %#v, %v; want an error with %q", c.expr, v, diags, words)
			}
			continue
		}
		if diags.HasErrors() {
			t.Errorf("%s: %v", c.expr, diags)
			continue
		}
		v = schema.Bare(v)
		text, err := json.Marshal(v, v.Type())
		if err != nil || string(text) != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.expr, text, err, c.want)
		}
	}
	// Each has at least three cases, and one that fails.
	for name := range functions {
		n, failing := 0, false
		for _, c := range append(slices.Clone(cases), more...) {
			if regexp.MustCompile(`(^|[^a-z0-9_])` + name + `\(`).MatchString(c.expr) {
				n, failing = n+1, failing || strings.HasPrefix(c.want, "!")
			}
		}
		if n < 3 || !failing {
			t.Errorf("%s has %d cases; one that fails: %t", name, n, failing)
		}
	}
}

// Whatever a function is given, it does not panic.
func TestStrangeArguments(t *testing.T) {
	strange := []cty.Value{cty.UnknownVal(cty.String), cty.DynamicVal, cty.NullVal(cty.String), cty.NullVal(cty.DynamicPseudoType), cty.StringVal("x"), cty.NumberIntVal(-1),
		cty.True, cty.EmptyTupleVal, cty.EmptyObjectVal, cty.ListValEmpty(cty.String), cty.UnknownVal(cty.List(cty.String)), cty.TupleVal([]cty.Value{cty.UnknownVal(cty.Number)}), cty.MapValEmpty(cty.Number),
		schema.Sensitive(cty.StringVal("x")), schema.Sensitive(cty.DynamicVal), schema.Sensitive(cty.ListVal([]cty.Value{cty.StringVal("abcd")})),
		cty.ObjectVal(map[string]cty.Value{"a": schema.Sensitive(cty.NumberIntVal(70000))}), schema.Sensitive(cty.NullVal(cty.String))}
	hide := Options{Dir: t.TempDir(), Hide: func(string) {}}
	for name, f := range Functions(hide) {
		if name == "bcrypt" || name == "can" || name == "try" || name == "convert" {
			continue // slow, or given expressions in place of values
		}
		for _, a := range strange {
			call(t, name, f, a)
			for _, b := range strange {
				call(t, name, f, a, b)
				call(t, name, f, a, b, a)
			}
		}
	}
}

func call(t *testing.T, name string, f function.Function, args ...cty.Value) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("%s(%#v): %v", name, args, r)
		}
	}()
	_, _ = f.Call(args)
}

type fakeSecrets struct{}

func (fakeSecrets) Vault(path, key string) (string, error) {
	if key == "" {
		return "", errors.New("no such secret")
	}
	return path + "." + key, nil
}
func (fakeSecrets) Consul(key string) (string, error)    { return key, nil }
func (fakeSecrets) AWS(name, key string) (string, error) { return name + "." + key, nil }
func (fakeSecrets) AWSRaw(name string) (string, error)   { return name, nil }
