package legacy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"kiln"
	"kiln/internal/redact"
	"kiln/internal/template"
	"kiln/internal/template/interpolate"
	"kiln/schema"
)

// scope is the values of a template's variables.
type scope struct {
	*parsed
	supplied map[string]string // by var-files and -var
	values   map[string]string // final, after interpolation
	secret   map[string]bool   // names of those that are sensitive, or made of others that are
	lacking  []string          // secrets of the environment that a bundle does not hold
	lost     bool              // values that are missing have been reported
}

// Validate is what is wrong beyond the syntax.
func (j *scope) Validate() hcl.Diagnostics { return j.late }

// Spec resolves the variables and lists the builds in the order of their names:
// docs/compat/templates.md 2.11.
func (j *scope) Spec(context.Context) (*template.Spec, hcl.Diagnostics) {
	diags := append(slices.Clone(j.late), j.required()...)
	if diags.HasErrors() || j.lost {
		j.pretend()
	}
	if more := j.interpolateVars(); !diags.HasErrors() {
		diags = append(diags, more...)
	}
	slices.Sort(j.lacking)
	for _, name := range slices.Compact(j.lacking) {
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError,
			Summary: fmt.Sprintf("The environment variable %q is needed again", name),
			Detail:  "Its value is secret, so the plan does not hold it."})
	}
	for _, name := range j.sensitive {
		if redact.Given(j.values[name], j.Hide) {
			diags = append(diags, template.ShortSecret(j.variableRange(name),
				fmt.Sprintf("The value of the variable %q", name)))
		}
	}
	spec := &template.Spec{Weak: true}
	cleanup := j.cleanup
	if cleanup != nil {
		// It is for every build, whatever it says.
		every := *cleanup
		every.Only, every.Except = nil, nil
		cleanup = &every
	}
	for _, b := range j.builders {
		name, err := interpolate.RenderStable(b.raw, j.context("", ""))
		if err != nil {
			diags = append(diags, template.ErrorfAt(b.rng, "", "name of builder %q: %v", b.raw, err))
		}
		spec.Builds = append(spec.Builds, j.build(b, name, cleanup))
	}
	sort.SliceStable(spec.Builds, func(a,
		b int) bool {
		return spec.Builds[a].Source < spec.Builds[b].Source
	})
	return spec, diags
}

// pretend gives variables without a value the text that stands for what is not
// known, so that the rest can be checked.
func (j *scope) pretend() {
	for _, v := range j.variables {
		if _, ok := j.supplied[v.name]; v.required && !ok {
			j.values[v.name] = schema.Placeholder
		}
	}
}

// build is one build with the steps that are for it.
func (j *scope) build(b *builder, name string, cleanup *template.Step) *template.BuildSpec {
	full := name
	if name != b.typ {
		full = b.typ + "." + name
	}
	c := j.context(name, b.typ)
	return &template.BuildSpec{Name: full, Source: name, Alias: name, Select: name, Only: b.raw, Own: b.raw,
		Builder: &template.Step{Kind: template.KindBuilder, Type: b.typ, Written: b.typ,
			TypeRange: start(b.node), Name: b.raw,
			Body: body{b.node}, Range: b.node.rng, Skip: skipBuilder},
		Steps: j.steps, Cleanup: cleanup, Chains: j.chains, Scope: &buildScope{c}, Range: b.rng}
}

// buildScope is what the text of one build may refer to.
type buildScope struct{ text *interpolate.Context }

// Open is the body as it is: its strings are literal.
func (s *buildScope) Open(step *template.Step, _ []string, _ map[string]any) (hcl.Body, *hcl.EvalContext) {
	return step.Body, nil
}

// Render renders text with vars as dot.
func (s *buildScope) Render(text string, vars map[string]any) (string, error) {
	run := *s.text
	run.Data = vars
	run.Build = template.BuildData(vars)
	return interpolate.RenderStable(text, &run)
}

// Needs is empty: legacy JSON cannot name other builds' artifacts.
func (s *buildScope) Needs(*template.Step, []string) ([]string, hcl.Diagnostics) { return nil, nil }

// Learned is always 0.
func (s *buildScope) Learned(*template.Step) int { return 0 }

// Unknown is the diagnostic of a type that no component has.
func (s *buildScope) Unknown(step *template.Step, known []string) *hcl.Diagnostic {
	return template.ErrorAt(step.TypeRange, "", template.UnknownType(step.Kind, step.Type, known))
}

// Explain names build and component in every error.
func (s *buildScope) Explain(step *template.Step, diags hcl.Diagnostics) hcl.Diagnostics {
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		switch {
		case d.Detail == "":
			d.Detail = d.Summary
		case d.Summary != "":
			d.Detail = d.Summary + ". " + d.Detail
		}
		d.Summary = fmt.Sprintf("Failed to prepare build: %q", s.text.BuildName)
		d.Detail = step.Kind + " " + step.Type + ": " + d.Detail
	}
	return diags
}

// Text leaves values that the build generates as text for the second rendering.
func (s *buildScope) Text(step *template.Step, keys []string) (first, second *interpolate.Context) {
	c := *s.text
	c.Missing = func(key string) string {
		if key == "WinRMPassword" {
			return "{{.WinRMPassword}}"
		}
		return "Build_" + key + ". To set this dynamically in the Packer template, you must use the `build` function"
	}
	c.Build = template.LaterData(step, keys)
	return &c, s.text
}

// Eval renders a line of the console.
func (j *scope) Eval(line string) (string, template.Diagnostics) {
	c := j.context("", "")
	secret := false
	c.Touched = func() { secret = true }
	out, err := interpolate.RenderStable(line, c)
	if err != nil {
		// As with Packer this is an answer, and no failure of the console.
		return "???????: Interpolation error\n\n" + err.Error(), nil
	}
	if secret {
		return kiln.Masked, nil
	}
	return out, nil
}

// Dump lists the variables.
func (j *scope) Dump() string {
	var b strings.Builder
	b.WriteString("\n")
	for _, name := range slices.Sorted(maps.Keys(j.values)) {
		shown := j.values[name]
		if j.secret[name] {
			shown = kiln.Masked
		}
		fmt.Fprintf(&b, "%s: %s,\n", name, shown)
	}
	return b.String()
}

// Words are the names that text can use.
func (j *scope) Words() []string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(j.values)) {
		words = append(words, "{{user `"+name+"`}}")
	}
	for _, name := range []string{"timestamp", "isotime", "uuid", "pwd", "packer_version", "template_dir",
		"upper", "lower", "split", "replace", "replace_all"} {
		words = append(words, "{{"+name)
	}
	return words
}
