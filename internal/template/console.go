package template

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"kiln/internal/template/function"
	"kiln/internal/template/interpolate"
)

// Eval evaluates one line as the console does: an expression for HCL2, {{ }} text
// for legacy JSON. Call Builds first: it gives variables and locals their values.
func (t *Template) Eval(line string) (string, Diagnostics) { return t.load.eval(line) }

// Dump lists the variables as the console's word "variables" does.
func (t *Template) Dump() string { return t.load.dump() }

// Words are the names that an expression can use, for completion.
func (t *Template) Words() []string { return t.load.words() }

func (h *hclTemplate) eval(line string) (string, Diagnostics) {
	const name = "<console-input>"
	h.files.text[name] = []byte(line)
	expr, diags := hclsyntax.ParseExpression([]byte(line), name, hcl.InitialPos)
	if diags.HasErrors() {
		return "", h.files.convert(diags)
	}
	ctx := h.context(nil)
	delete(ctx.Variables, "data")
	v, diags := expr.Value(ctx)
	if diags.HasErrors() {
		return "", h.files.convert(h.hints(diags)).tidy()
	}
	return showValue(v, true), h.files.convert(diags)
}

func (h *hclTemplate) dump() string {
	var b strings.Builder
	b.WriteString("> input-variables:\n\n")
	for _, v := range h.t.Variables {
		fmt.Fprintf(&b, "var.%s: %s\n", v.Name, v.Value)
	}
	b.WriteString("\n> local-variables:\n\n")
	for _, l := range h.t.Locals {
		fmt.Fprintf(&b, "local.%s: %s\n", l.Name, l.Value)
	}
	return b.String()
}

func (h *hclTemplate) words() []string {
	words := []string{"path.root", "path.cwd", "packer.version"}
	for _, name := range h.order {
		words = append(words, "var."+name)
	}
	for name := range h.locals {
		words = append(words, "local."+name)
	}
	for _, name := range function.Names() {
		words = append(words, name+"(")
	}
	slices.Sort(words)
	return words
}

func (j *jsonTemplate) eval(line string) (string, Diagnostics) {
	out, err := interpolate.RenderStable(line, j.context("", ""))
	if err != nil {
		// As with Packer this is an answer, and no failure of the console.
		return "???????: Interpolation error\n\n" + err.Error(), nil
	}
	return out, nil
}

func (j *jsonTemplate) dump() string {
	var b strings.Builder
	b.WriteString("\n")
	for _, name := range slices.Sorted(maps.Keys(j.values)) {
		fmt.Fprintf(&b, "%s: %s,\n", name, j.values[name])
	}
	return b.String()
}

func (j *jsonTemplate) words() []string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(j.values)) {
		words = append(words, "{{user `"+name+"`}}")
	}
	for _, name := range []string{"timestamp", "isotime", "uuid", "pwd", "packer_version", "template_dir", "upper", "lower", "split", "replace", "replace_all"} {
		words = append(words, "{{"+name)
	}
	return words
}
