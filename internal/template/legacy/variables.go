package legacy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"kiln/internal/template"
	"kiln/internal/template/interpolate"
	"kiln/internal/template/outside"
)

// readValues collects the values of var-files and -var, in that order: -var always
// wins.
func (j *scope) readValues() {
	for _, path := range j.VarFiles {
		j.readVarFile(path)
	}
	for _, v := range j.Vars {
		name, value, _ := strings.Cut(v, "=")
		j.supplied[name] = value
	}
	if j.From != nil {
		j.restore(j.From)
	}
}

// restore gives variables the values of a bundle. Those that it does not hold must
// have been given again.
func (j *scope) restore(b *template.Bundle) {
	given := j.supplied
	j.supplied = map[string]string{}
	for name, v := range b.Variables {
		var text string
		if err := json.Unmarshal(v.JSON, &text); err != nil {
			j.problems = append(j.problems, &hcl.Diagnostic{Severity: hcl.DiagError,
				Summary: "Invalid value in the plan", Detail: name + ": " + err.Error()})
		}
		j.supplied[name] = text
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, kept := b.Variables[name]; !kept && slices.Contains(j.sensitive, name) {
			j.supplied[name] = given[name]
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.Secrets)) {
		if text, ok := given[name]; ok {
			j.supplied[name] = text
		} else {
			j.problems = append(j.problems, b.Missing(name))
			j.lost = true
		}
	}
}

// Bundle adds the values that variables were given.
func (j *scope) Bundle(b *template.Bundle) {
	for name, text := range j.supplied {
		out, err := json.Marshal(text)
		if err == nil {
			b.SetVariable(name, template.Value{JSON: out}, slices.Contains(j.sensitive, name))
		}
	}
}

func (j *scope) readVarFile(path string) {
	text, err := outside.Supply(path)
	if err != nil {
		j.problems = append(j.problems, &hcl.Diagnostic{Severity: hcl.DiagError, Detail: err.Error()})
		j.lost = true
		return
	}
	name := template.Display(path)
	j.texts.Add(name, text)
	j.texts.Quiet(name)
	n, diags := parseJSON(name, text)
	if n == nil {
		for _, d := range diags {
			d.Detail, _, _ = strings.Cut(d.Detail, "\n") // without the line
		}
	}
	j.problems = append(j.problems, diags...)
	if n == nil {
		j.lost = true
		return
	}
	if n.kind != '{' {
		j.errorf(n.rng, "json: cannot unmarshal %s into a variable file: it is one object of strings",
			n.kindName())
		return
	}
	for _, f := range n.fields {
		switch f.val.kind {
		case 's':
			j.supplied[f.name] = f.val.text
		case '0':
			j.supplied[f.name] = ""
		default:
			kind := map[byte]string{'n': "number", 'b': "bool", '[': "array", '{': "object"}[f.val.kind]
			j.errorf(
				f.val.rng,
				"json: cannot unmarshal %s into Go value of type string: variable %q of a JSON template is a string",
				kind,
				f.name,
			)
		}
	}
}

// required reports every variable that must be given and is not.
func (j *scope) required() (diags hcl.Diagnostics) {
	if j.lost {
		return nil
	}
	for _, v := range j.variables {
		if _, ok := j.supplied[v.name]; v.required && !ok {
			diags = append(diags, template.ErrorfAt(
				v.rng,
				"",
				"required variable not set: %s. Give it a value with -var '%s=...' or in a -var-file.",
				v.name,
				v.name,
			))
		}
	}
	return diags
}

// keepDots protects {{ .Name }} in its simplest spelling: it is for a later phase.
var keepDots = regexp.MustCompile(`\{\{ ?\.([A-Za-z0-9_]+) ?\}\}`)

const passes = 100

// interpolateVars resolves variables that refer to each other: docs/compat/templates.md 2.3.
func (j *scope) interpolateVars() hcl.Diagnostics {
	source := map[string]string{}
	for _, v := range j.variables {
		if !v.required {
			source[v.name] = v.value
		}
	}
	for name, value := range j.supplied {
		source[name] = value
	}
	var names []string
	for name := range source {
		names = append(names, name)
	}
	sort.Strings(names)
	c := j.context("", "")
	c.User, c.UserErr, c.Env, c.Secrets = j.values, true, j.env, j.Secrets
	for _, name := range j.sensitive {
		j.secret[name] = true
	}
	failed := map[string]error{}
	for range passes {
		rendered := false
		clear(failed)
		pending := false
		for _, name := range names {
			users := len(interpolate.Users(source[name])) > 0
			if _, done := j.values[name]; done && !users {
				continue
			}
			text := keepDots.ReplaceAllString(source[name], "{{`{{.$1}}`}}")
			c.Touched = func() { j.secret[name] = true }
			out, err := interpolate.Render(text, c)
			switch {
			case errors.Is(err, interpolate.ErrUnknownVariable):
				failed[name] = err
				pending = true
			case err != nil:
				return hcl.Diagnostics{template.ErrorfAt(j.variableRange(name), "",
					"error interpolating default value for '%s': %v", name, err)}
			default:
				rendered = rendered || j.values[name] != out
				j.values[name] = out
				if j.secret[name] {
					// At once: others may be made of it.
					j.Hide(out)
				}
			}
		}
		if !pending && !rendered {
			break
		}
		if pending && !rendered {
			break // nothing will change any more
		}
	}
	var diags hcl.Diagnostics
	for _, name := range names {
		if err := failed[name]; err != nil && !j.anyUser(names, source, failed) {
			diags = append(diags, template.ErrorfAt(j.variableRange(name), "",
				"Failed to interpolate %q: %q; error: %v. "+
					"A variable that is referenced must be defined, and variables must not refer to each other in a circle.", name, source[name], shortest(err)))
		}
	}
	return diags
}

// anyUser reports whether some variable with a user call did resolve; an unresolved
// one is then left out without an error, as Packer does.
func (j *scope) anyUser(names []string, source map[string]string, failed map[string]error) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return failed[name] == nil && len(interpolate.Users(source[name])) > 0
	})
}

// shortest is an error's first line, without the template's text.
func shortest(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimSuffix(line, " in:")
}

func (j *scope) variableRange(name string) hcl.Range {
	for _, v := range j.variables {
		if v.name == name {
			return v.rng
		}
	}
	return hcl.Range{}
}

// env is a value of the environment for a variable's default.
func (j *scope) env(name string) string {
	if b := j.From; b != nil && b.Lacks(name, j.Environ) {
		j.lacking = append(j.lacking, name)
	}
	return j.World.Env(name, j.Environ)
}

// context is what text in a component's body may refer to.
func (j *scope) context(name, typ string) *interpolate.Context {
	return &interpolate.Context{User: j.values, BuildName: name, BuildType: typ, TemplateDir: j.dir,
		PackerVersion: j.PackerVersion, Start: j.Start, World: j.World,
		Hiding:     &interpolate.Hiding{Hide: j.Hide, Secret: j.Secret},
		SecretUser: func(name string) bool { return j.secret[name] }}
}

// describe fills in what inspect shows.
func (j *scope) describe() {
	var hidden []string
	for _, v := range j.variables {
		if slices.Contains(j.sensitive, v.name) {
			hidden = append(hidden, v.value)
		}
	}
	for _, v := range j.variables {
		var text []byte
		if !v.required {
			text, _ = json.Marshal(v.value) // a string can always be written
		}
		j.t.Variables = append(j.t.Variables, template.Variable{Name: v.name, Required: v.required,
			Default: v.value,
			Value:   fmt.Sprintf("%q", v.value), JSON: text, Sensitive: slices.Contains(hidden, v.value)})
	}
	var sources []template.Named
	for _, b := range j.builders {
		sources = append(sources, template.Named{Type: b.typ, Name: b.raw})
	}
	sort.Slice(sources, func(a, b int) bool { return sources[a].Name < sources[b].Name })
	j.t.Blocks = []template.Block{template.Describe("", j.t.Description, sources, j.steps, nil, j.chains)}
}
