package schema

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/json"
	"github.com/zclconf/go-cty/cty"
)

// described is a description that arrives at run time and says what the tags of
// config say.
func described(t *testing.T) *Block {
	t.Helper()
	must := func(b *Block, err error) *Block {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	nested := must(NewBlock(
		&Field{Name: "name", Required: true},
		&Field{Name: "size", Type: Type{Kind: Integer}, Default: "3", HasDefault: true},
	))
	text, whole := &Type{Kind: String}, &Type{Kind: Integer}
	return must(NewBlock(
		&Field{Name: "host"},
		&Field{Name: "text", Default: "abc", HasDefault: true},
		&Field{Name: "number", Type: *whole, Default: "7", HasDefault: true},
		&Field{Name: "flag", Type: Type{Kind: Bool}},
		&Field{Name: "maybe", Type: Type{Kind: Bool}, Nullable: true},
		&Field{Name: "wait", Type: Type{Kind: Duration}, Default: "5s", HasDefault: true},
		&Field{Name: "list", Type: Type{Kind: List, Item: text}, Default: "a|b", HasDefault: true},
		&Field{Name: "lists", Type: Type{Kind: List, Item: &Type{Kind: List, Item: text}}},
		&Field{Name: "codes", Type: Type{Kind: List, Item: whole}},
		&Field{Name: "map", Type: Type{Kind: Map, Item: text}},
		&Field{Name: "secret", Sensitive: true},
		&Field{Name: "new", Was: []string{"old"}},
		&Field{Name: "one", OneOf: []string{"red", "green"}},
		&Field{Name: "gone", Refused: "it went"},
		&Field{Name: "block", Type: Type{Kind: Single, Block: nested}, Nullable: true},
		&Field{Name: "many", Type: Type{Kind: Repeated, Block: nested}},
	))
}

// outcome is all that can be seen of a decoded component.
type outcome struct {
	Settings map[string]any
	Values   []string
	Secrets  []string
	Pos      Positions
	Diags    string
}

func outcomeOf(component any, pos Positions, diags hcl.Diagnostics) outcome {
	o := outcome{Settings: Settings(component, nil), Secrets: Secrets(component), Pos: pos}
	for _, v := range Values(component) {
		o.Values = append(o.Values, v.Field.Name+"="+v.Text+" "+strings.Join(v.Files, ","))
	}
	for _, d := range diags {
		o.Diags += d.Error() + "\n"
	}
	return o
}

// The same body means the same to a struct and to an equal description without one.
func TestRunTime(t *testing.T) {
	ctx := &hcl.EvalContext{Variables: map[string]cty.Value{"u": cty.UnknownVal(cty.String), "d": cty.DynamicVal}}
	for _, text := range []string{
		"", `host = "h"` + "\n" + `text = ""`, `number = 0` + "\n" + `flag = true`,
		`number = "8"`, `number = 1.5`, `number = "x"`,
		`flag = false` + "\n" + `maybe = false`, `maybe = null`, `wait = "1m30s"`, `wait = 5`, `wait = "soon"`,
		`list = []`, `list = ["x", null]`, `list = "a"`, `lists = [["a"], []]`, `codes = [1, 2]`, `codes = ["x"]`,
		`map = {}`, `map = { b = 1, a = "x", n = null }`, `map = []`, `secret = "s3cret"`, `old = "o"`, `one = "gren"`,
		`gone = "x"`, "block {}", "block { name = \"n\" }", "block {\nname = \"n\"\nsiez = 4\n}",
		"block { name = \"a\" }\nblock { name = \"b\" }",
		"many { name = \"a\" }\nmany {\nname = \"b\"\nsize = 0\n}",
		`hots = "x"`, `blok {}`,
		"text = \"a-${u}\"\nnumber = d\nlist = [u]\nmap = { k = u }\nwait = u\nlists = d\nflag = d",
	} {
		var c config
		rec := NewRecord(described(t))
		d := &Decoder{Eval: ctx}
		pos, diags := d.Body(body(t, text), &c)
		want := outcomeOf(&c, pos, diags)
		pos, diags = d.Body(body(t, text), rec)
		if diff := cmp.Diff(want, outcomeOf(rec, pos, diags)); diff != "" {
			t.Errorf("%s:\n%s", text, diff)
		}
	}
}

// The same for legacy JSON, with an override over it.
func TestRunTimeWeak(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"NUMBER": "5", "flag": "true", "list": "a,b,c", "wait": 7, "text": 3, "maybe": "", "codes": 4}`,
		`{"map": [{"a": "1"}, {"b": 2}], "block": {"NAME": "n"}, "many": [{"name": "a"}, {"name": "b", "size": ""}]}`,
		`{"block": [{"name": "a"}, {"name": "b"}]}`, `{"block": {"size": 1}}`, `{"blok": {}, "numbr": 1}`, `{"list": {}}`,
		`{"maybe": "no"}`, `{"many": "x"}`, `{"secret": "s"}`, `{"gone": 1}`,
	} {
		file, diags := json.Parse([]byte(text), "t.json")
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		override := cty.ObjectVal(map[string]cty.Value{
			"list": cty.TupleVal([]cty.Value{cty.StringVal("X")}), "map": cty.ObjectVal(map[string]cty.Value{"z": cty.True}),
		})
		d := &Decoder{Weak: true}
		decode := func(dst any) outcome {
			pos, diags := d.Body(file.Body, dst)
			diags = append(diags, d.Value(override, hcl.Range{}, dst)...)
			return outcomeOf(dst, pos, diags)
		}
		if diff := cmp.Diff(decode(new(config)), decode(NewRecord(described(t)))); diff != "" {
			t.Errorf("%s:\n%s", text, diff)
		}
	}
}

// What is set and what is not are told apart, as a plugin must.
func TestObject(t *testing.T) {
	rec := NewRecord(described(t))
	_, diags := (&Decoder{}).Body(body(t, "flag = false\nlists = [[\"a\"]]\nmany { name = \"m\" }"), rec)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	o := rec.Object()
	text := cty.StringVal
	for name, want := range map[string]cty.Value{
		"flag": cty.False, "maybe": cty.NullVal(cty.Bool), "number": cty.NumberIntVal(7),
		"map":   cty.NullVal(cty.Map(cty.String)),
		"lists": cty.ListVal([]cty.Value{cty.ListVal([]cty.Value{text("a")})}),
		"many": cty.ListVal([]cty.Value{
			cty.ObjectVal(map[string]cty.Value{"name": text("m"), "size": cty.NumberIntVal(3)})}),
		"block": cty.NullVal(cty.Object(map[string]cty.Type{"name": cty.String, "size": cty.Number})),
	} {
		if got := o.GetAttr(name); !got.RawEquals(want) {
			t.Errorf("%s is %#v, not %#v", name, got, want)
		}
	}
}

func TestNewBlock(t *testing.T) {
	for want, fields := range map[string][]*Field{
		"has no name":          {{}},
		`are named "a"`:        {{Name: "a"}, {Name: "b", Was: []string{"a"}}},
		"have a type of items": {{Name: "a", Type: Type{Kind: List}}},
		"alone a description":  {{Name: "a", Type: Type{Kind: Repeated}}},
		"bad default":          {{Name: "a", Type: Type{Kind: Integer}, Default: "x", HasDefault: true}},
		"no list or map holds": {{Name: "a", Type: Type{Kind: Map, Item: &Type{Kind: Single, Block: new(Block)}}}},
	} {
		if _, err := NewBlock(fields...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
