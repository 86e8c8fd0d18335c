package hcl2

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"kiln/schema"
)

// instead says what to write in place of functions that other users of HCL have.
var instead = map[string]string{
	"toset":  `for_each takes a list of strings as it is, and convert(LIST, set(string)) makes a set.`,
	"tolist": "convert(VALUE, list(string)) makes a list.", "tomap": "convert(VALUE, map(string)) makes a map.",
	"tostring": "convert(VALUE, string) makes a string.", "tonumber": "convert(VALUE, number) makes a number.",
	"tobool":     "convert(VALUE, bool) makes a boolean.",
	"filemd5":    "Write md5(file(PATH)).",
	"filesha1":   "Write sha1(file(PATH)).",
	"filesha256": "Write sha256(file(PATH)).", "filesha512": "Write sha512(file(PATH)).",
	"one": "Write LIST[0], or try(LIST[0], null) where it may be empty.",
	"env": "The function env can only be used in the default of a variable.",
}

// hints adds what to do to messages that hcl gives.
func (sc *scope) hints(diags hcl.Diagnostics) hcl.Diagnostics {
	for _, d := range diags {
		if d.Extra == (hinted{}) {
			continue
		}
		hint := ""
		switch name := quotedName(d.Detail); {
		case d.Summary == "Call to unknown function":
			hint = instead[name]
		case d.Summary == "Invalid dynamic block label" && strings.Contains(d.Detail, "dynamic marks"):
			d.Detail = "A label is shown, and cannot be made of a secret."
			hint = "nonsensitive() says that a value is none."
		case d.Summary == "Unknown variable" || d.Summary == "Variables not allowed":
			hint = sc.missingName(d)
		case d.Summary == "Unsupported attribute" && d.Expression != nil &&
			strings.Contains(d.Detail, "This object does not have an attribute named"):
			for _, t := range d.Expression.Variables() {
				if hint = sc.missingPart(t, name); hint != "" {
					break
				}
			}
		}
		if hint != "" {
			// What hcl suggests has a similar name, and does something else.
			before, _, _ := strings.Cut(d.Detail, " Did you mean")
			d.Detail, d.Extra = before+" "+hint, hinted{}
		}
	}
	return diags
}

// missingPart says what is not there, where a name that a template gives is not found.
func (sc *scope) missingPart(t hcl.Traversal, name string) string {
	if len(t) < 2 || name == "" {
		return ""
	}
	if step, ok := t[1].(hcl.TraverseAttr); !ok || step.Name != name {
		return ""
	}
	switch t.RootName() {
	case "var":
		return fmt.Sprintf("There is no variable %q.%s", name, sc.nearVariable(name))
	case "local":
		var names []string
		for known := range sc.computed {
			names = append(names, known)
		}
		slices.Sort(names)
		near := ""
		if found := schema.Suggest(name, names); found != "" {
			near = fmt.Sprintf(" Did you mean %q?", found)
		}
		return fmt.Sprintf("There is no local value %q.%s", name, near)
	case "data":
		return fmt.Sprintf("There is no data source of the type %q.", name)
	}
	return ""
}

// hinted marks a diagnostic that has its hint.
type hinted struct{}

// missingName says where the names are known that only some blocks know.
func (sc *scope) missingName(d *hcl.Diagnostic) string {
	switch quotedName(d.Detail) {
	case "each":
		return "each has a value where the block, or the source that a build uses, has for_each."
	case "matrix":
		return "matrix has a value where the block, or the source that a build uses, has matrix."
	case "artifact":
		return "artifact.BUILD.SOURCE may stand in sources, provisioners and post-processors; it is not known " +
			"before builds run, when variables, locals, data sources and modules get their values."
	case "build":
		return "build has values in provisioners and post-processors."
	case "source":
		return "source has values in provisioners and post-processors."
	}
	return ""
}
