// Package load reads templates of either language. It is what programs call; the
// languages themselves are packages hcl2 and legacy.
package load

import (
	"context"
	"fmt"
	"io"
	"os"

	"kiln/internal/template"
	"kiln/internal/template/hcl2"
	"kiln/internal/template/legacy"
)

// nothing is the template of a console that was given none.
const nothing = `{"builders":[{"type":"null","communicator":"none"}]}`

// Template reads a template as far as its own language goes: files, blocks,
// variables and their values. Components are looked at by its Builds.
func Template(ctx context.Context, o template.Options) (*template.Template, template.Diagnostics) {
	if o.Hide == nil {
		o.Hide = func(string) {}
	}
	switch {
	case o.Path == "" && o.ConfigType == "hcl2":
		return hcl2.Load(ctx, o, false)
	case o.Path == "":
		return legacy.Load(ctx, o, "", []byte(nothing))
	case o.Path == "-":
		text, err := io.ReadAll(io.LimitReader(o.Stdin, template.MaxSize))
		if err != nil {
			return nil, template.Errorf("Cannot read the template", err.Error())
		}
		name := o.Name
		if name == "" {
			name = "<stdin>"
		}
		return legacy.Load(ctx, o, name, text)
	}
	info, err := os.Stat(o.Path)
	if err != nil {
		return nil, template.Errorf("", fmt.Sprintf("%q: %v", o.Path, err))
	}
	if info.IsDir() || template.IsHCL(o.Path) {
		return hcl2.Load(ctx, o, info.IsDir())
	}
	text, err := template.ReadFile(o.Path)
	if err != nil {
		return nil, template.Errorf("Cannot read the template", err.Error())
	}
	return legacy.Load(ctx, o, o.Path, text)
}
