package interpolate

import (
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 21, 14, 5, 9, 0, time.UTC)

func ctx() *Context {
	return &Context{
		User: map[string]string{"a": "A", "nested": "{{user `a`}}"}, BuildName: "web", BuildType: "null", TemplateDir: "/t",
		PackerVersion: "1.16.0", Start: start, Data: map[string]any{"Path": "/x", "Port": 22},
		Env:   func(name string) string { return "env-" + name },
		Build: func(key string) (string, error) { return "{{." + key + "}}", nil },
	}
}

func TestRender(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"plain", "plain"},
		{"{{user `a`}}-{{ user \"a\" }}", "A-A"},
		{"{{user `unknown`}}.", "."},
		{"{{user `nested`}}", "{{user `a`}}"},
		{"{{env `HOME`}}", "env-HOME"},
		{"{{build_name}}/{{build_type}}", "web/null"},
		{"{{timestamp}}", "1795269909"},
		{"{{isotime}} {{isotime `2006`}}", "2026-11-21T14:05:09Z 2026"},
		{"{{strftime `%Y-%m-%d %H:%M:%S%L %q %%`}}", "2026-11-21 14:05:09.000 %q %"},
		{"{{upper `a`}}{{lower `B`}}", "Ab"},
		{"{{split `a-b-c` `-` 1}}", "b"},
		{"{{replace `a` `b` 1 `aaa`}} {{replace_all `a` `b` `aaa`}}", "baa bbb"},
		{"{{template_dir}} {{packer_version}}", "/t 1.16.0"},
		{"{{.Path}}:{{.Port}}:{{.None}}", "/x:22:<no value>"},
		{"{{build `ID`}}", "{{.ID}}"},
		{"{{ if eq build_name `web` }}yes{{ else }}no{{ end }}", "yes"},
		{`{{ "{{" }}`, "{{"},
	} {
		got, err := Render(c.text, ctx())
		if err != nil || got != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.text, got, err, c.want)
		}
	}
}

func TestRenderErrors(t *testing.T) {
	refusing := &Context{UserErr: true}
	for _, c := range []struct {
		text, want string
		c          *Context
	}{
		{"{{nope}}", `function "nope" not defined`, ctx()},
		{"{{uper `a`}}", `did you mean "upper"?`, ctx()},
		{"{{ user name }}", "a name stands in back quotes", ctx()},
		{"{{", "unclosed action", ctx()},
		{"{{split `a` `-` 3}}", "has no part 3", ctx()},
		{"{{isotime `a` `b`}}", "too many values, 1 needed", ctx()},
		{"{{sed `a` `b`}}", "was removed", ctx()},
		{"{{env `HOME`}}", "env vars are not allowed here", refusing},
		{"{{build_name}}", "build_name not available", refusing},
		{"{{template_dir}}", "template path not available", refusing},
		{"{{user `zz`}}", "variable not set: zz", refusing},
		{"{{vault `a` `b`}}", "the function vault", refusing},
		{"{{printf `%999999999d` 1}}", "", ctx()},
		{"{{range $i := 99999999}}xxxxxxxxxxxxxxxxxxxxxxx{{end}}", "too long", ctx()},
	} {
		got, err := Render(c.text, c.c)
		if c.want == "" {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %q, %v; want an error with %q", c.text, got, err, c.want)
		}
	}
}

func TestMissing(t *testing.T) {
	c := ctx()
	c.Missing = func(key string) string { return "Build_" + key }
	got, err := Render("{{.ID}} {{ if .Path }}{{ .Host | upper }}{{end}}", c)
	if err != nil || got != "Build_ID BUILD_HOST" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestUsers(t *testing.T) {
	if got := Users("{{user `a`}} {{ user  `b c` }} {{user \"d\"}}"); strings.Join(got, "|") != "a|b c" {
		t.Errorf("got %q", got)
	}
}

func FuzzRender(f *testing.F) {
	for _, s := range []string{"{{user `a`}}", "{{ .Path }}", "{{range .}}{{end}}", "{{ if }}", "{{build `x`}}{{uuid}}", "{{define `a`}}{{template `a`}}{{end}}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := ctx()
		c.Missing = func(string) string { return "m" }
		out, err := Render(text, c)
		if !strings.Contains(text, "{{") && (err != nil || out != text) {
			t.Errorf("text without braces changed: %q, %v", out, err)
		}
		if out, err := RenderStable(text, c); err == nil {
			if again, err := Render(out, c); err != nil || again != out {
				t.Errorf("not stable: %q, then %q, %v", out, again, err)
			}
		}
	})
}
