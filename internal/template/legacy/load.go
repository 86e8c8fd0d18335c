// Package legacy parses templates in JSON as Packer had them first to the
// specification of package template, and resolves their variables.
package legacy

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"kiln/internal/template"
	"kiln/schema"
)

// parsed is a legacy template as it is written.
type parsed struct {
	template.Options
	texts *template.Texts
	path  string
	dir   string // absolute, for template_dir
	t     *template.Template

	variables []variable
	sensitive []string
	builders  []*builder
	steps     []*template.Step
	cleanup   *template.Step
	chains    [][]*template.Step
	problems  hcl.Diagnostics
	late      hcl.Diagnostics // found only when the template is resolved: inspect and -syntax-only do not see them
}

type variable struct {
	name     string
	value    string
	required bool
	rng      hcl.Range
}

type builder struct {
	node *node
	typ  string
	raw  string // name as written
	rng  hcl.Range
}

// rootKeys are the keys a template may have, see docs/compat/templates.md 2.2.
var rootKeys = []string{
	"description",
	"min_packer_version",
	"variables",
	"sensitive-variables",
	"builders",
	"provisioners",
	"error-cleanup-provisioner",
	"post-processors",
	"push",
	"comments",
}

func (j *parsed) errorf(rng hcl.Range, format string, args ...any) {
	j.problems = append(j.problems, template.ErrorAt(rng, "", fmt.Sprintf(format, args...)))
}

// Load reads a legacy template: docs/compat/templates.md 2.
func Load(
	ctx context.Context,
	o template.Options,
	path string,
	text []byte,
) (*template.Template, template.Diagnostics) {
	j := &parsed{Options: o, texts: template.NewTexts(), path: template.Display(path)}
	dir := "."
	if path != "" && o.Path != "-" {
		dir = filepath.Dir(path)
	}
	j.dir = o.World.Abs(dir)
	sc := &scope{parsed: j, supplied: map[string]string{}, values: map[string]string{},
		secret: map[string]bool{}}
	j.t = template.New(o, sc, j.texts)
	j.t.Dir, j.t.Format, j.t.Sources = dir, template.JSON, []template.SourceFile{{Name: j.path, Text: text}}
	j.texts.Add(j.path, text)
	root, diags := parseJSON(j.path, text)
	if root == nil {
		return nil, j.parseFailure(diags)
	}
	j.problems = append(j.problems, diags...)
	if root.kind != '{' {
		j.errorf(
			root.rng,
			"json: cannot unmarshal %s into the template: it is one object with the key builders",
			root.kindName(),
		)
	} else {
		j.root(root)
	}
	if j.problems.HasErrors() {
		diags := j.parseFailure(j.problems)
		if o.Thorough && root.kind == '{' {
			// What else is wrong is reported at the same time.
			j.problems = nil
			sc.readValues()
			diags = append(diags, j.t.Thorough(ctx)...)
			diags = append(diags, j.texts.Convert(j.problems)...)
		}
		return nil, diags.Tidy()
	}
	sc.readValues()
	sc.describe()
	return j.t, j.texts.Convert(j.problems).Tidy()
}

// parseFailure says around the problems that the file was taken for legacy JSON.
func (j *parsed) parseFailure(diags hcl.Diagnostics) template.Diagnostics {
	out := j.texts.Convert(diags).Tidy()
	for i := range out {
		if out[i].Severity == template.Error && i == 0 {
			out[i].Detail = "Failed to parse file as legacy JSON template: if you are using an HCL template, check your file extensions; they should be either " +
				"*.pkr.hcl or *.pkr.json.\nOriginal error: " + out[i].Detail
		}
	}
	return out
}

func (j *parsed) root(root *node) {
	for _, f := range root.fields {
		key := ""
		for _, k := range rootKeys {
			if f.name == k || strings.EqualFold(f.name, k) && root.exact(k) == nil {
				key = k
			}
		}
		switch {
		case key == "" && strings.HasPrefix(f.name, "_"):
			if f.val.kind != 's' {
				j.errorf(f.val.rng, "Failed to cast root level comment value in comment %q to string.",
					f.name)
			}
		case key == "":
			hint := ""
			if near := schema.Suggest(f.name, rootKeys); near != "" {
				hint = fmt.Sprintf(" Did you mean '%s'?", near)
			}
			j.errorf(f.rng, "Unknown root level key in template: '%s'.%s", f.name, hint)
		case f.val.kind == '0':
		default:
			j.section(key, f.val)
		}
	}
	if n := root.get("builders"); n == nil || n.kind == '[' && len(n.items) == 0 || n.kind == '0' {
		j.late = append(j.late, template.ErrorAt(hcl.Range{Filename: j.path, Start: root.rng.Start,
			End: root.rng.Start}, "", "at least one builder must be defined"))
	}
	j.checkNames()
}

func (j *parsed) section(key string, n *node) {
	switch key {
	case "description":
		if j.want(n, 's', key) {
			j.t.Description = n.text
		}
	case "min_packer_version":
		if j.want(n, 's', key) {
			j.minVersion(n)
		}
	case "variables":
		if j.want(n, '{', key) {
			j.readVariables(n)
		}
	case "sensitive-variables":
		if j.want(n, '[', key) {
			for _, item := range n.items {
				if j.want(item, 's', key) {
					j.sensitive = append(j.sensitive, item.text)
				}
			}
		}
	case "builders":
		if j.want(n, '[', key) {
			j.readBuilders(n)
		}
	case "provisioners":
		if j.want(n, '[', key) {
			for i, item := range n.items {
				if step := j.readProvisioner(item, fmt.Sprintf("provisioner %d", i+1)); step != nil {
					j.steps = append(j.steps, step)
				}
			}
		}
	case "error-cleanup-provisioner":
		j.cleanup = j.readProvisioner(n, "on-error-script provisioner")
	case "post-processors":
		if j.want(n, '[', key) {
			j.readPostProcessors(n)
		}
	}
}

// want checks the kind of a node.
func (j *parsed) want(n *node, kind byte, what string) bool {
	if n.kind == kind {
		return true
	}
	names := map[byte]string{'{': "map", '[': "slice", 's': "string", 'b': "bool"}
	j.errorf(n.rng, "%s: '' expected type '%s', got unconvertible type '%s'", what, names[kind], n.kindName())
	return false
}

func (j *parsed) minVersion(n *node) {
	ok, err := template.VersionAtLeast(j.PackerVersion, n.text)
	switch {
	case err != nil:
		j.late = append(j.late, template.ErrorfAt(n.rng, "", "min_version is invalid: %v", err))
	case !ok:
		j.late = append(j.late, template.ErrorfAt(n.rng, "",
			"This template requires Packer version %s or higher; using %s", n.text, j.PackerVersion))
	}
}

func (j *parsed) readVariables(n *node) {
	for _, f := range n.fields {
		v := variable{name: f.name, value: f.val.text, required: f.val.kind == '0', rng: f.rng}
		if f.val.kind != 's' && f.val.kind != '0' {
			j.errorf(f.val.rng, "variable %s: '' expected type 'string', got unconvertible type '%s'", f.name,
				f.val.kindName())
			continue
		}
		j.variables = append(j.variables, v)
	}
}

func (j *parsed) readBuilders(n *node) {
	seen := map[string]bool{}
	for i, item := range n.items {
		if item.kind != '{' {
			j.errorf(item.rng, "builder %d: an object is required, got type '%s'", i+1, item.kindName())
			continue
		}
		b := &builder{node: item, rng: item.rng}
		typ := item.exact("type")
		if typ == nil || typ.kind != 's' || typ.text == "" {
			j.errorf(start(item), "builder %d: missing 'type'", i+1)
			continue
		}
		b.typ, b.raw = typ.text, typ.text
		if name := item.exact("name"); name != nil {
			if name.kind != 's' {
				j.errorf(name.rng, "builder %d: 'name' expected type 'string', got unconvertible type '%s'",
					i+1, name.kindName())
				continue
			}
			b.raw, b.rng = name.text, name.rng
		}
		if seen[b.raw] {
			j.errorf(start(item), "builder %d: builder with name '%s' already exists", i+1, b.raw)
			continue
		}
		seen[b.raw] = true
		j.builders = append(j.builders, b)
	}
}

// start is the place where a node begins, on its first line.
func start(n *node) hcl.Range {
	end := n.rng.Start
	end.Column++
	end.Byte++
	return hcl.Range{Filename: n.rng.Filename, Start: n.rng.Start, End: end}
}

// checkNames checks that only, except and override name builders that exist.
func (j *parsed) checkNames() {
	exists := map[string]bool{}
	var names []string
	for _, b := range j.builders {
		exists[b.raw] = true
		names = append(names, b.raw)
	}
	check := func(where, key string, refs template.Names, text string) {
		for name, rng := range refs {
			if !exists[name] {
				hint := ""
				if near := schema.Suggest(name, names); near != "" {
					hint = fmt.Sprintf(". Did you mean '%s'?", near)
				}
				j.late = append(j.late, template.ErrorfAt(rng, "", where+": "+text+hint, key, name))
			}
		}
	}
	steps := slices.Clone(j.steps)
	if j.cleanup != nil {
		steps = append(steps, j.cleanup)
	}
	for _, chain := range j.chains {
		steps = append(steps, chain...)
	}
	for _, s := range steps {
		overridden := template.Names{}
		for name, o := range s.Override {
			overridden[name] = o.Key
		}
		check(s.Where, "only", s.Only, "'%s' specified builder '%s' not found")
		check(s.Where, "except", s.Except, "'%s' specified builder '%s' not found")
		check(s.Where, "override", overridden, "%s '%s' doesn't exist")
	}
}
