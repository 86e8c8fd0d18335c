package function

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"kiln/internal/template/outside"
)

// files are the functions that read files; paths are relative to dir, except where
// a comment says otherwise.
func files(dir string, w *outside.World) map[string]function.Function {
	return map[string]function.Function{
		// Relative to the working directory.
		"abspath":    text("path", func(p string) (string, error) { return w.Abs(p), nil }),
		"basename":   text("path", func(p string) (string, error) { return filepath.Base(p), nil }),
		"dirname":    text("path", func(p string) (string, error) { return filepath.Dir(p), nil }),
		"pathexpand": text("path", func(p string) (string, error) { return expand(w, p) }),
		"file":       text("path", func(p string) (string, error) { return readText(w, dir, p) }),
		// Relative to the working directory, and without ~.
		"filebase64": text("path", func(p string) (string, error) {
			b, err := w.ReadFile(p)
			if err != nil {
				return "", fileError(p, err)
			}
			return base64.StdEncoding.EncodeToString(b), nil
		}),
		"fileexists": function.New(&function.Spec{
			Params: []function.Parameter{{Name: "path", Type: cty.String}},
			Type:   function.StaticReturnType(cty.Bool),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				path, err := resolve(w, dir, args[0].AsString())
				if err != nil {
					return cty.NilVal, err
				}
				mode, err := w.Mode(path)
				switch {
				case errors.Is(err, fs.ErrNotExist):
					return cty.False, nil
				case err != nil:
					return cty.NilVal, fmt.Errorf("look at %s: %w", path, err)
				case !mode.IsRegular():
					return cty.NilVal, fmt.Errorf("%s is not a regular file, but %q", path, mode)
				}
				return cty.True, nil
			},
		}),
		"fileset": text2("path", "pattern", func(path, pattern string) (cty.Value, error) { return fileSet(w, dir, path, pattern) }, cty.Set(cty.String)),
	}
}

func expand(w *outside.World, p string) (string, error) {
	if p != "~" && !strings.HasPrefix(p, "~/") {
		if strings.HasPrefix(p, "~") {
			return "", fmt.Errorf("cannot expand another user's home folder: %s", p)
		}
		return p, nil
	}
	home, err := w.Home()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, p[1:]), nil
}

func resolve(w *outside.World, dir, p string) (string, error) {
	p, err := expand(w, p)
	if err != nil || filepath.IsAbs(p) {
		return p, err
	}
	return filepath.Join(dir, p), nil
}

func fileError(p string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no file exists at %s", p)
	}
	return fmt.Errorf("read %s: %w", p, err)
}

func readText(w *outside.World, dir, p string) (string, error) {
	path, err := resolve(w, dir, p)
	if err != nil {
		return "", err
	}
	b, err := w.ReadFile(path)
	if err != nil {
		return "", fileError(path, err)
	}
	if !utf8.Valid(b) {
		return "", fmt.Errorf("contents of %s are not valid UTF-8; use filebase64 for the bytes", path)
	}
	return string(b), nil
}

func fileSet(w *outside.World, dir, path, pattern string) (cty.Value, error) {
	root, err := resolve(w, dir, path)
	if err != nil {
		return cty.NilVal, err
	}
	matches, err := w.Glob(root, filepath.ToSlash(filepath.Clean(pattern)))
	if err != nil {
		return cty.NilVal, fmt.Errorf("glob pattern %q: %w", pattern, err)
	}
	var out []cty.Value
	for _, m := range matches {
		out = append(out, cty.StringVal(m))
	}
	if len(out) == 0 {
		return cty.SetValEmpty(cty.String), nil
	}
	return cty.SetVal(out), nil
}

// templateFile renders a file as an HCL template that sees nothing but the values
// it is given, and every function but templatefile itself.
func templateFile(w *outside.World, dir string, functions map[string]function.Function) function.Function {
	load := func(args []cty.Value) (cty.Value, error) {
		name := args[0].AsString()
		src, err := readText(w, dir, name)
		if err != nil {
			return cty.NilVal, err
		}
		expr, diags := hclsyntax.ParseTemplate([]byte(src), name, hcl.InitialPos)
		if diags.HasErrors() {
			return cty.NilVal, diags
		}
		vars, marks := args[1].Unmark()
		if ty := vars.Type(); !ty.IsObjectType() && !ty.IsMapType() {
			return cty.NilVal, function.NewArgErrorf(1, "invalid vars value: must be a map")
		}
		ctx := &hcl.EvalContext{Functions: functions, Variables: map[string]cty.Value{}}
		for k, v := range vars.AsValueMap() {
			if !hclsyntax.ValidIdentifier(k) {
				return cty.NilVal, function.NewArgErrorf(1, "invalid template variable name %q", k)
			}
			ctx.Variables[k] = v.WithMarks(marks)
		}
		for _, t := range expr.Variables() {
			if _, ok := ctx.Variables[t.RootName()]; !ok {
				return cty.NilVal, function.NewArgErrorf(1, "vars map does not contain key %q, referenced at %s", t.RootName(), t[0].SourceRange())
			}
		}
		v, diags := expr.Value(ctx)
		if diags.HasErrors() {
			return cty.NilVal, diags
		}
		return v, nil
	}
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}, {Name: "vars", Type: cty.DynamicPseudoType, AllowMarked: true}},
		Type: func(args []cty.Value) (cty.Type, error) {
			if !args[0].IsKnown() || !args[1].IsWhollyKnown() {
				return cty.DynamicPseudoType, nil
			}
			v, err := load(args)
			if err != nil {
				return cty.DynamicPseudoType, err
			}
			return v.Type(), nil
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if !args[1].IsWhollyKnown() {
				return cty.DynamicVal, nil
			}
			return load(args)
		},
	})
}
