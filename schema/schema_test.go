package schema

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"kiln"
)

type inner struct {
	Name string `kiln:"name,required"`
	Size int    `kiln:"size,default=3"`
}

type shared struct {
	Host string `kiln:"host"`
}

type config struct {
	shared `kiln:",squash"`
	Text   string            `kiln:"text,default=abc"`
	Number int               `kiln:"number,default=7"`
	Flag   bool              `kiln:"flag"`
	Maybe  *bool             `kiln:"maybe"`
	Wait   time.Duration     `kiln:"wait,default=5s"`
	List   []string          `kiln:"list,default=a|b"`
	Lists  [][]string        `kiln:"lists"`
	Codes  []int             `kiln:"codes"`
	Map    map[string]string `kiln:"map"`
	Secret kiln.Secret       `kiln:"secret"`
	New    string            `kiln:"new,was=old"`
	One    string            `kiln:"one,oneof=red|green"`
	Gone   string            `kiln:"gone,refused=it went"`
	Block  *inner            `kiln:"block"`
	Many   []inner           `kiln:"many"`
}

func body(t *testing.T, text string) hcl.Body {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(text), "t.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return f.Body
}

func TestDecode(t *testing.T) {
	var c config
	pos, diags := (&Decoder{}).Body(body(t, `
host = "h"
number = "8"
flag = true
wait = "1m"
list = ["x"]
lists = [["a", "b"], ["c"]]
codes = [1, 2]
map = { k = "v", n = 5 }
secret = "s"
old = "renamed"
block { name = "b" }
many { name = "1" }
many {
  name = "2"
  size = 9
}
`), &c)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	want := config{shared: shared{"h"}, Text: "abc", Number: 8, Flag: true, Wait: time.Minute, List: []string{"x"}, Lists: [][]string{{"a", "b"}, {"c"}}, Codes: []int{1, 2},
		Map: map[string]string{"k": "v", "n": "5"}, Secret: "s", New: "renamed", Block: &inner{"b", 3}, Many: []inner{{"1", 3}, {"2", 9}}}
	if diff := cmp.Diff(want, c, cmp.AllowUnexported(config{})); diff != "" {
		t.Error(diff)
	}
	if pos["new"].Start.Line != 11 {
		t.Errorf("new stands at %v", pos["new"])
	}
}

func TestDecodeErrors(t *testing.T) {
	for text, want := range map[string]string{
		`numbr = 1`: `Did you mean "number"?`, `number = "x"`: "a number is required", `number = 1.5`: "a whole number is required", `wait = 5`: "a duration string",
		`wait = "soon"`: "invalid duration", `list = "a"`: "list of string required", `map = []`: "map of string required", `one = "gren"`: `did you mean "green"?`,
		`gone = "x"`: `"gone" cannot be used: it went.`, `block {}`: `The argument "name" is required`, "block { name = \"a\" }\nblock { name = \"b\" }": "Only one block block is allowed",
		`flag = "perhaps"`: "neither true nor false", `host = ["x"]`: "string required", `blok { name = "x" }`: "block",
	} {
		var c config
		_, diags := (&Decoder{}).Body(body(t, text), &c)
		if !strings.Contains(diags.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, diags, want)
		}
	}
}

func TestWeakAndOverlay(t *testing.T) {
	var c config
	d := &Decoder{Weak: true}
	set := func(v map[string]cty.Value) hcl.Diagnostics { return d.Value(cty.ObjectVal(v), hcl.Range{}, &c) }
	if diags := set(map[string]cty.Value{"NUMBER": cty.StringVal("5"), "flag": cty.StringVal("true"), "list": cty.StringVal("a,b,c"), "wait": cty.NumberIntVal(7),
		"text": cty.NumberIntVal(3), "maybe": cty.StringVal(""), "codes": cty.NumberIntVal(4), "block": cty.ObjectVal(map[string]cty.Value{"name": cty.StringVal("n")})}); diags.HasErrors() {
		t.Fatal(diags)
	}
	if c.Number != 5 || !c.Flag || len(c.List) != 3 || c.Wait != 7 || c.Text != "3" || c.Maybe != nil || c.Codes[0] != 4 || c.Block.Size != 3 {
		t.Errorf("got %+v", c)
	}
	// An override replaces by index and leaves the tail.
	if diags := set(map[string]cty.Value{"list": cty.TupleVal([]cty.Value{cty.StringVal("X")}), "map": cty.ObjectVal(map[string]cty.Value{"a": cty.True})}); diags.HasErrors() {
		t.Fatal(diags)
	}
	if strings.Join(c.List, "") != "Xbc" || c.Map["a"] != "true" {
		t.Errorf("got %+v", c)
	}
}

func TestUnknownValues(t *testing.T) {
	ctx := &hcl.EvalContext{Variables: map[string]cty.Value{"u": cty.UnknownVal(cty.String), "d": cty.DynamicVal}}
	var c config
	_, diags := (&Decoder{Eval: ctx}).Body(body(t, "text = \"a-${u}\"\nnumber = d\nlist = [u]\nmap = { k = u }\nwait = u\nlists = d\nflag = d"), &c)
	if diags.HasErrors() || c.Text != "<unknown>" || c.List[0] != "<unknown>" || c.Map["k"] != "<unknown>" {
		t.Errorf("%v, %+v", diags, c)
	}
}

func TestSuggest(t *testing.T) {
	for name, want := range map[string]string{"shel": "shell", "communcator": "communicator", "zzzzzz": "", "lsit": "list"} {
		if have := Suggest(name, []string{"shell", "communicator", "list"}); have != want {
			t.Errorf("%s: got %q", name, have)
		}
	}
}

type offeredA struct {
	Host string `kiln:"a_host,default=h"`
	Port int    `kiln:"a_port"`
}

type offeredB struct {
	Gone string `kiln:"b_gone,refused=it is away"`
}

type taker struct {
	Kind   string         `kiln:"kind"`
	Offers map[string]any `kiln:",offered"`
	Last   string         `kiln:"last,late"`
}

// What is offered to a value is decoded, described and listed as its own.
func TestOffered(t *testing.T) {
	a := new(offeredA)
	c := &taker{Offers: map[string]any{"b": new(offeredB), "a": a}}
	pos, diags := (&Decoder{}).Body(body(t, "kind = \"a\"\na_port = 5\nlast = \"z\""), c)
	if diags.HasErrors() || a.Port != 5 || a.Host != "h" || c.Last != "z" || len(pos) != 3 {
		t.Fatalf("%v: %+v, %+v, %v", diags, c, a, pos)
	}
	var names []string
	for _, f := range Of(c).Fields {
		names = append(names, f.Offer+"/"+f.Name)
	}
	if got := strings.Join(names, " "); got != "/kind a/a_host a/a_port b/b_gone /last" {
		t.Errorf("fields are %s", got)
	}
	if diff := cmp.Diff(map[string]any{"kind": "a", "a_host": "h", "a_port": 5, "last": "z"}, Settings(c, nil)); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]string{`a_hots = "x"`: `Did you mean "a_host"?`, `b_gone = "x"`: "it is away"} {
		_, diags := (&Decoder{}).Body(body(t, text), &taker{Offers: c.Offers})
		if !strings.Contains(diags.Error(), want) {
			t.Errorf("%s: got %v", text, diags)
		}
	}
	if f := Of(c).Field("last"); !f.Late || Of(c).Field("kind").Late {
		t.Errorf("late is %v of last alone", f.Late)
	}
	if len(Of(new(taker)).Fields) != 2 {
		t.Error("a value to which nothing was offered has more fields than its own")
	}
}
