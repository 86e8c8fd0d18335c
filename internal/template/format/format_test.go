package format

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclwrite"
)

// pairs are texts before and after, each in a few lines.
var pairs = []struct{ name, in, want string }{
	{"spaces around =", "a=1\n", "a = 1\n"},
	{"aligned", "a = 1\nlonger=2\n", "a      = 1\nlonger = 2\n"},
	{"blank line ends a group", "a=1\n\nlonger=2\n", "a = 1\n\nlonger = 2\n"},
	{"several lines end a group", "a={\nb=1\n}\nlonger=2\n", "a = {\n  b = 1\n}\nlonger = 2\n"},
	{"two blanks a level", "x \"y\"{\nz {\na=1\n}\n}\n", "x \"y\" {\n  z {\n    a = 1\n  }\n}\n"},
	{"comments aligned", "a=1 # x\nlonger=2# y\n", "a      = 1 # x\nlonger = 2 # y\n"},
	{"comment lines", "a {\n# x\n//y\n/* z */\n}\n", "a {\n  # x\n  //y\n  /* z */\n}\n"},
	{"tabs", "a {\n\tb = 1\n}\n", "a {\n  b = 1\n}\n"},
	{"heredoc untouched", "a = <<E\n  x=1\nE\nb=1\n", "a = <<E\n  x=1\nE\nb = 1\n"},
	{"lists", "a=[1,2,\n3]\n", "a = [1, 2,\n3]\n"},
	{"interpolation", "a=\"${var.x}-${upper( var.y )}\"\n", "a = \"${var.x}-${upper(var.y)}\"\n"},
	{"operators", "a=1+2*-3\nb=!x&&y?1:2\n", "a = 1 + 2 * -3\nb = !x && y ? 1 : 2\n"},
	{"for", "a=[for x in l:x if x!=1]\n", "a = [for x in l : x if x != 1]\n"},
	{"calls", "a = f( 1 , 2 )\n", "a = f(1, 2)\n"},
	{"empty", "", ""},
	{"no end of line", "a=1", "a = 1"},
}

func TestSource(t *testing.T) {
	for _, c := range pairs {
		got, err := Source("x.pkr.hcl", []byte(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if string(got) != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if _, err := Source("x", []byte("a = {")); err == nil {
		t.Error("what is no HCL is formatted")
	}
}

func TestPath(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.pkr.hcl": "a=1\n", "b.pkrvars.hcl": "b=1\n", "good.pkr.hcl": "a = 1\n", "bad.pkr.hcl": "a = {\n", ".hidden.pkr.hcl": "a=1\n",
		"x.pkr.hcl~": "a=1\n", "c.json": "{}", "sub/c.pkr.hcl": "a=1\n", "other.hcl": "a=1\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	var problems []string
	o := Options{Write: true, Diff: true, Recursive: true, Out: &out, Problem: func(name string, _ []byte, _ error) { problems = append(problems, filepath.Base(name)) }}
	n, err := o.Path(dir)
	if err != nil || n != 3 {
		t.Fatalf("%d changed, %v", n, err)
	}
	if strings.Join(problems, " ") != "bad.pkr.hcl" {
		t.Errorf("problems %q", problems)
	}
	for _, want := range []string{"a.pkr.hcl\n--- old/", "+++ new/", "\n-a=1\n+a = 1\n", "b.pkrvars.hcl\n", "sub/c.pkr.hcl\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "a.pkr.hcl")); string(text) != "a = 1\n" {
		t.Errorf("written %q", text)
	}
	if info, _ := os.Stat(filepath.Join(dir, "a.pkr.hcl")); info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
	if n, _ := o.Path(dir); n != 0 {
		t.Errorf("%d changed in a second run", n)
	}
	if _, err := o.Path(filepath.Join(dir, "c.json")); err == nil || !strings.Contains(err.Error(), "is not a HCL file") {
		t.Errorf("a JSON file: %v", err)
	}
}

func FuzzSource(f *testing.F) {
	for _, c := range pairs {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		once, err := Source("x", in)
		if err != nil {
			return
		}
		twice, err := Source("x", once)
		if err != nil {
			t.Fatalf("formatting breaks %q: %q: %v", in, once, err)
		}
		if !bytes.Equal(once, twice) {
			t.Fatalf("%q: first %q, then %q", in, once, twice)
		}
		if first := hclwrite.Format(in); bytes.Equal(hclwrite.Format(first), first) && !bytes.Equal(first, once) {
			t.Fatalf("%q: %q is not the canonical %q", in, once, first)
		}
	})
}
