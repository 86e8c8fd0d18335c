package template

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"kiln/schema"
)

// jsonTemplate is a legacy template as it is written.
type jsonTemplate struct {
	Options
	files *sources
	path  string
	dir   string // absolute, for template_dir
	t     *Template

	variables []jsonVariable
	supplied  map[string]string // values of var-files and -var
	values    map[string]string // final, after interpolation
	sensitive []string
	builders  []*jsonBuilder
	steps     []*jsonStep
	cleanup   *jsonStep
	chains    [][]*jsonStep
	problems  hcl.Diagnostics
	late      hcl.Diagnostics // found only when the template is resolved: inspect and -syntax-only do not see them
}

type jsonVariable struct {
	name     string
	value    string
	required bool
	rng      hcl.Range
}

type jsonBuilder struct {
	node *node
	typ  string
	raw  string // name as written
	name string // interpolated
	rng  hcl.Range
}

// rootKeys are the keys a template may have, see docs/compat/templates.md 2.2.
var rootKeys = []string{"description", "min_packer_version", "variables", "sensitive-variables", "builders", "provisioners",
	"error-cleanup-provisioner", "post-processors", "push", "comments"}

func (j *jsonTemplate) errorf(rng hcl.Range, format string, args ...any) {
	j.problems = append(j.problems, errorAt(rng, "", fmt.Sprintf(format, args...)))
}

// loadJSON reads a legacy template: docs/compat/templates.md 2.
func loadJSON(ctx context.Context, o Options, path string, text []byte) (*Template, Diagnostics) {
	j := &jsonTemplate{Options: o, files: newSources(), path: display(path), supplied: map[string]string{}, values: map[string]string{}}
	dir := "."
	if path != "" && o.Path != "-" {
		dir = filepath.Dir(path)
	}
	j.dir, _ = filepath.Abs(dir)
	j.t = &Template{Path: o.Path, Dir: dir, Format: JSON, load: j, Sources: []SourceFile{{j.path, text}}}
	j.files.text[j.path] = text
	root, diags := parseJSON(j.path, text)
	if root == nil {
		return nil, j.parseFailure(diags)
	}
	j.problems = append(j.problems, diags...)
	if root.kind != '{' {
		j.errorf(root.rng, "json: cannot unmarshal %s into the template: it is one object with the key builders", root.kindName())
	} else {
		j.root(root)
	}
	if j.problems.HasErrors() {
		diags := j.parseFailure(j.problems)
		if o.Thorough && root.kind == '{' {
			diags = append(diags, j.behind(ctx)...)
		}
		return nil, diags.tidy()
	}
	j.readValues()
	j.describe()
	return j.t, j.files.convert(j.problems).tidy()
}

// behind looks for what else is wrong with a template that cannot be loaded.
func (j *jsonTemplate) behind(ctx context.Context) Diagnostics {
	j.problems = nil
	j.readValues()
	builds, diags := j.builds(ctx)
	for _, b := range builds {
		diags = append(diags, b.Check()...)
	}
	return append(j.files.convert(j.problems), diags...)
}

// parseFailure says around the problems that the file was taken for legacy JSON.
func (j *jsonTemplate) parseFailure(diags hcl.Diagnostics) Diagnostics {
	out := j.files.convert(diags).tidy()
	for i := range out {
		if out[i].Severity == Error && i == 0 {
			out[i].Detail = "Failed to parse file as legacy JSON template: if you are using an HCL template, check your file extensions; they should be either " +
				"*.pkr.hcl or *.pkr.json.\nOriginal error: " + out[i].Detail
		}
	}
	return out
}

func (j *jsonTemplate) root(root *node) {
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
				j.errorf(f.val.rng, "Failed to cast root level comment value in comment %q to string.", f.name)
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
		j.late = append(j.late, errorAt(hcl.Range{Filename: j.path, Start: root.rng.Start, End: root.rng.Start}, "", "at least one builder must be defined"))
	}
	j.checkNames()
}

func (j *jsonTemplate) section(key string, n *node) {
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
func (j *jsonTemplate) want(n *node, kind byte, what string) bool {
	if n.kind == kind {
		return true
	}
	names := map[byte]string{'{': "map", '[': "slice", 's': "string", 'b': "bool"}
	j.errorf(n.rng, "%s: '' expected type '%s', got unconvertible type '%s'", what, names[kind], n.kindName())
	return false
}

func (j *jsonTemplate) minVersion(n *node) {
	ok, err := versionAtLeast(j.PackerVersion, n.text)
	switch {
	case err != nil:
		j.late = append(j.late, errorf(n.rng, "", "min_version is invalid: %v", err))
	case !ok:
		j.late = append(j.late, errorf(n.rng, "", "This template requires Packer version %s or higher; using %s", n.text, j.PackerVersion))
	}
}

func (j *jsonTemplate) readVariables(n *node) {
	for _, f := range n.fields {
		v := jsonVariable{name: f.name, value: f.val.text, required: f.val.kind == '0', rng: f.rng}
		if f.val.kind != 's' && f.val.kind != '0' {
			j.errorf(f.val.rng, "variable %s: '' expected type 'string', got unconvertible type '%s'", f.name, f.val.kindName())
			continue
		}
		j.variables = append(j.variables, v)
	}
}

func (j *jsonTemplate) readBuilders(n *node) {
	seen := map[string]bool{}
	for i, item := range n.items {
		if item.kind != '{' {
			j.errorf(item.rng, "builder %d: an object is required, got type '%s'", i+1, item.kindName())
			continue
		}
		b := &jsonBuilder{node: item, rng: item.rng}
		typ := item.exact("type")
		if typ == nil || typ.kind != 's' || typ.text == "" {
			j.errorf(start(item), "builder %d: missing 'type'", i+1)
			continue
		}
		b.typ, b.raw = typ.text, typ.text
		if name := item.exact("name"); name != nil {
			if name.kind != 's' {
				j.errorf(name.rng, "builder %d: 'name' expected type 'string', got unconvertible type '%s'", i+1, name.kindName())
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
func (j *jsonTemplate) checkNames() {
	exists := map[string]bool{}
	var names []string
	for _, b := range j.builders {
		exists[b.raw] = true
		names = append(names, b.raw)
	}
	check := func(where, key string, refs []nameRef, text string) {
		for _, ref := range refs {
			if !exists[ref.name] {
				hint := ""
				if near := schema.Suggest(ref.name, names); near != "" {
					hint = fmt.Sprintf(". Did you mean '%s'?", near)
				}
				j.late = append(j.late, errorf(ref.rng, "", where+": "+text+hint, key, ref.name))
			}
		}
	}
	steps := append([]*jsonStep(nil), j.steps...)
	if j.cleanup != nil {
		steps = append(steps, j.cleanup)
	}
	for _, chain := range j.chains {
		steps = append(steps, chain...)
	}
	for _, s := range steps {
		check(s.where, "only", s.only, "'%s' specified builder '%s' not found")
		check(s.where, "except", s.except, "'%s' specified builder '%s' not found")
		check(s.where, "override", s.overrides(), "%s '%s' doesn't exist")
	}
}

func (j *jsonTemplate) validate() Diagnostics { return j.files.convert(j.late).tidy() }
