// Package load reads templates of either language. It is what programs call; the
// languages themselves are packages hcl2 and legacy.
package load

import (
	"context"
	"fmt"
	"io"

	"kiln/internal/template"
	"kiln/internal/template/hcl2"
	"kiln/internal/template/legacy"
	"kiln/internal/template/outside"
)

// nothing is the template of a console that was given none.
const nothing = `{"builders":[{"type":"null","communicator":"none"}]}`

// Template reads a template as far as its own language goes: files, blocks,
// variables and their values. Components are looked at by its Builds.
func Template(ctx context.Context, o template.Options) (*template.Template, template.Diagnostics) {
	o = o.Prepared()
	switch {
	case o.Path == "" && o.ConfigType == "hcl2":
		return hcl2.Load(ctx, o, false)
	case o.Path == "":
		return legacy.Load(ctx, o, "", []byte(nothing))
	case o.Path == "-":
		name := o.Name
		if name == "" {
			name = "<stdin>"
		}
		text, err := o.World.Input(name, func() ([]byte, error) {
			return io.ReadAll(io.LimitReader(o.Stdin,
				outside.MaxSize))
		})
		if err != nil {
			return nil, template.Errorf("Cannot read the template", err.Error())
		}
		return legacy.Load(ctx, o, name, text)
	}
	mode, err := o.World.Mode(o.Path)
	if err != nil {
		return nil, template.Errorf("", fmt.Sprintf("%q: %v", o.Path, err))
	}
	if mode.IsDir() || template.IsHCL(o.Path) {
		return hcl2.Load(ctx, o, mode.IsDir())
	}
	text, err := o.World.ReadFile(o.Path)
	if err != nil {
		return nil, template.Errorf("Cannot read the template", err.Error())
	}
	return legacy.Load(ctx, o, o.Path, text)
}

// FromBundle loads a template again from what it was bundled to, without reading its
// files. Options say what the bundle does not: components, and where secrets come
// from. Variables that the bundle has keep their values, whatever Vars and VarFiles
// say.
func FromBundle(ctx context.Context, b *template.Bundle, o template.Options) (*template.Template,
	template.Diagnostics) {
	o, diags := b.Options(o)
	if diags.HasErrors() {
		return nil, diags
	}
	return Template(ctx, o)
}
