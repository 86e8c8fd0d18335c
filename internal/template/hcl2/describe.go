package hcl2

import (
	"maps"
	"slices"

	"kiln/internal/template"
	"kiln/internal/template/function"
	"kiln/internal/template/interpolate"
	"kiln/schema/docs"
)

// attributes are the names of what a kind of step has.
func attributes(on template.On) (names []string) {
	for _, a := range stepAttributes[on] {
		names = append(names, a.Name)
	}
	return names
}

// Blocks describes what may stand at the root of an HCL2 template.
func Blocks() []docs.Syntax {
	steps, posts := attributes(template.OnProvisioner), attributes(template.OnPostProcessor)
	pp := docs.Syntax{Name: "post-processor", Labels: []string{"type"},
		Description: "a chain of one post-processor", Attributes: posts, Component: "post-processor"}
	versions := []string{"required_version"}
	return []docs.Syntax{
		{Name: "packer", Description: "what the template needs", Attributes: versions,
			Blocks: []docs.Syntax{{Name: "required_plugins",
				Description: "plugins: accessor = { source, version }"}}},
		{Name: "kiln", Description: "which version of Kiln the template needs", Attributes: versions},
		{Name: "variable", Labels: []string{"name"}, Description: "an input", Attributes: []string{"type",
			"default", "description", "sensitive"},
			Blocks: []docs.Syntax{{Name: "validation", Description: "a rule for the value",
				Attributes: []string{"condition", "error_message"}}}},
		{Name: "variables", Description: "inputs in their short form"},
		{Name: "locals", Description: "computed values"},
		{Name: "local", Labels: []string{"name"}, Description: "a computed value",
			Attributes: []string{"expression", "sensitive"}},
		{Name: "data", Labels: []string{"type", "name"}, Description: "a value that is read from elsewhere",
			Component: "data"},
		{Name: "source", Labels: []string{"type", "name"}, Description: "a machine that an image is made of",
			Attributes: []string{"matrix", "for_each"}, Component: "builder"},
		{Name: "build", Description: "what is done to sources", Attributes: []string{"name", "description",
			"sources", "matrix", "for_each"}, Blocks: []docs.Syntax{
			{Name: "source", Labels: []string{"reference"},
				Description: "a source with more options, or another name", Attributes: []string{"name"}},
			{Name: "provisioner", Labels: []string{"type"}, Description: "a step inside the machine",
				Attributes: steps, Component: "provisioner"},
			{Name: "error-cleanup-provisioner", Labels: []string{"type"},
				Description: "a step after a failure", Attributes: steps, Component: "provisioner"},
			{Name: "steps", Labels: []string{"reference"},
				Description: "the provisioners of a shared steps block, at this place"},
			pp, {Name: "post-processors", Description: "a chain of post-processors",
				Blocks: []docs.Syntax{pp}},
		}},
		{Name: "steps", Labels: []string{"name"}, Description: "provisioners that builds share",
			Blocks: []docs.Syntax{
				{Name: "provisioner", Labels: []string{"type"}, Description: "a step inside the machine",
					Attributes: steps, Component: "provisioner"}}},
		{Name: "output", Labels: []string{"name"},
			Description: "a value for those that have this template as a module", Attributes: []string{"value", "sensitive", "description"}},
		{Name: "module", Labels: []string{"name"}, Description: "another folder's blocks, with inputs",
			Attributes: []string{"source"}},
	}
}

// Functions are the names of the functions of HCL2 expressions.
func Functions() []string { return function.Names() }

// EngineFunctions are the names of the functions of {{ }} text.
func EngineFunctions() []string { return slices.Sorted(maps.Keys(interpolate.Functions())) }
