package hcl2

import (
	"maps"
	"slices"
	"strings"

	"kiln/internal/template"
	"kiln/internal/template/function"
	"kiln/internal/template/interpolate"
	"kiln/schema/docs"
)

// attributes are the names of what a kind of step has, and what they mean.
func attributes(on template.On) (names []string, about map[string]string) {
	about = map[string]string{}
	for _, a := range stepAttributes[on] {
		names = append(names, a.Name)
		about[a.Name] = a.Doc
	}
	return names, about
}

// What the attributes of blocks mean.
var (
	versionAbout  = map[string]string{"required_version": "Which versions the template is for, such as \">= 1.9\"."}
	variableAbout = map[string]string{
		"type":        "Its type, such as string, number, bool, list(string) or object({ ... }).",
		"default":     "Its value where none is given. Without one it must be given.",
		"description": "What it is for.",
		"sensitive":   "Its value is hidden in every output.",
	}
	ruleAbout = map[string]string{
		"condition":     "An expression that is true for a good value.",
		"error_message": "What is said of a bad one.",
	}
	localAbout = map[string]string{
		"expression": "Its value.",
		"sensitive":  "Its value is hidden in every output.",
	}
	instancesAbout = map[string]string{
		"matrix":   "Lists by name: one instance for each combination of their values, seen as matrix.NAME.",
		"for_each": "A map or set: one instance for each element, seen as each.key and each.value.",
	}
	buildAbout = with(instancesAbout, map[string]string{
		"name":        "Its name, which begins those of its builds.",
		"description": "What it is for.",
		"sources":     "The sources that it is done to, such as [\"source.docker.base\"].",
	})
	outputAbout = map[string]string{
		"value":       "Its value.",
		"sensitive":   "Its value is hidden in every output.",
		"description": "What it is.",
	}
)

func with(all ...map[string]string) map[string]string {
	sum := map[string]string{}
	for _, m := range all {
		maps.Copy(sum, m)
	}
	return sum
}

// Blocks describes what may stand at the root of an HCL2 template.
func Blocks() []docs.Syntax {
	steps, stepAbout := attributes(template.OnProvisioner)
	posts, postAbout := attributes(template.OnPostProcessor)
	pp := docs.Syntax{Name: "post-processor", Labels: []string{"type"},
		Description: "a chain of one post-processor", Attributes: posts, About: postAbout,
		Component: "post-processor"}
	shared := docs.Syntax{Name: "steps", Labels: []string{"reference"},
		Description: "the provisioners of a shared steps block, at this place"}
	registry := docs.Syntax{Name: "hcp_packer_registry", Open: true,
		Description: "what HCP Packer would be told; it is checked, and sent to nobody"}
	versions := []string{"required_version"}
	return []docs.Syntax{
		{Name: "packer", Description: "what the template needs", Attributes: versions, About: versionAbout,
			Blocks: []docs.Syntax{{Name: "required_plugins",
				Description: "plugins: accessor = { source, version }", Open: true}}},
		{Name: "kiln", Description: "which version of Kiln the template needs", Attributes: versions,
			About: versionAbout},
		{Name: "variable", Labels: []string{"name"}, Description: "an input", Attributes: []string{"type",
			"default", "description", "sensitive"}, About: variableAbout,
			Blocks: []docs.Syntax{{Name: "validation", Description: "a rule for the value",
				Attributes: []string{"condition", "error_message"}, About: ruleAbout}}},
		{Name: "variables", Description: "inputs in their short form", Open: true},
		{Name: "locals", Description: "computed values", Open: true},
		{Name: "local", Labels: []string{"name"}, Description: "a computed value",
			Attributes: []string{"expression", "sensitive"}, About: localAbout},
		{Name: "data", Labels: []string{"type", "name"}, Description: "a value that is read from elsewhere",
			Component: "data"},
		{Name: "source", Labels: []string{"type", "name"}, Description: "a machine that an image is made of",
			Attributes: []string{"matrix", "for_each"}, About: instancesAbout, Component: "builder"},
		{Name: "build", Description: "what is done to sources", Attributes: []string{"name", "description",
			"sources", "matrix", "for_each"}, About: buildAbout, Blocks: []docs.Syntax{
			{Name: "source", Labels: []string{"reference"},
				Description: "a source with more options, or another name", Attributes: []string{"name"},
				About: map[string]string{"name": "Another name for it, in this build."}, Open: true},
			{Name: "provisioner", Labels: []string{"type"}, Description: "a step inside the machine",
				Attributes: steps, About: stepAbout, Component: "provisioner"},
			{Name: "error-cleanup-provisioner", Labels: []string{"type"},
				Description: "a step after a failure", Attributes: steps, About: stepAbout, Component: "provisioner"},
			shared, registry, pp, {Name: "post-processors", Description: "a chain of post-processors",
				Blocks: []docs.Syntax{pp}},
		}},
		{Name: "steps", Labels: []string{"name"}, Description: "provisioners that builds share",
			Blocks: []docs.Syntax{
				{Name: "provisioner", Labels: []string{"type"}, Description: "a step inside the machine",
					Attributes: steps, About: stepAbout, Component: "provisioner"}, shared}},
		registry,
		{Name: "output", Labels: []string{"name"},
			Description: "a value for those that have this template as a module",
			Attributes:  []string{"value", "sensitive", "description"}, About: outputAbout},
		{Name: "module", Labels: []string{"name"}, Description: "another folder's blocks, with inputs",
			Attributes: []string{"source"}, About: map[string]string{"source": "Its folder, from this one."},
			Open: true},
	}
}

// Functions are the functions of HCL2 expressions.
func Functions() []docs.Function {
	return describe(append(function.Names(), "env"), function.Doc)
}

// EngineFunctions are the functions of {{ }} text.
func EngineFunctions() []docs.Function {
	return describe(slices.Collect(maps.Keys(interpolate.Functions())), interpolate.Doc)
}

// describe gives names what a text says about them, a line each.
func describe(names []string, text string) []docs.Function {
	about := map[string]docs.Function{}
	for line := range strings.Lines(text) {
		usage, what, _ := strings.Cut(strings.TrimSpace(line), "  ")
		name := usage
		if end := strings.IndexAny(usage, "( "); end > 0 {
			name = usage[:end]
		}
		about[name] = docs.Function{Name: name, Usage: usage, About: what}
	}
	var all []docs.Function
	slices.Sort(names)
	for _, name := range names {
		f := about[name]
		f.Name = name
		all = append(all, f)
	}
	return all
}
