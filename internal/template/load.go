package template

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxTemplate bounds a template's size: a file larger than this is none.
const maxTemplate = 64 << 20

// Load reads a template as far as its own language goes: files, blocks,
// variables and their values. Components are looked at by Builds.
func Load(ctx context.Context, o Options) (*Template, Diagnostics) {
	if o.Hide == nil {
		o.Hide = func(string) {}
	}
	switch {
	case o.Path == "" && o.ConfigType == "hcl2":
		return loadHCL(ctx, o, nil)
	case o.Path == "":
		return loadJSON(ctx, o, "", []byte(`{"builders":[{"type":"null","communicator":"none"}]}`))
	case o.Path == "-":
		text, err := io.ReadAll(io.LimitReader(o.Stdin, maxTemplate))
		if err != nil {
			return nil, Errorf("Cannot read the template", err.Error())
		}
		name := o.Name
		if name == "" {
			name = "<stdin>"
		}
		return loadJSON(ctx, o, name, text)
	}
	info, err := os.Stat(o.Path)
	if err != nil {
		return nil, Errorf("", fmt.Sprintf("%q: %v", o.Path, err))
	}
	if info.IsDir() || IsHCL(o.Path) {
		return loadHCLPath(ctx, o, info.IsDir())
	}
	text, err := readTemplate(o.Path)
	if err != nil {
		return nil, Errorf("Cannot read the template", err.Error())
	}
	return loadJSON(ctx, o, o.Path, text)
}

// IsHCL tells whether a file is HCL2 by its name.
func IsHCL(path string) bool {
	return strings.HasSuffix(path, ".pkr.hcl") || strings.HasSuffix(path, ".pkr.json")
}

func readTemplate(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTemplate+1))
	if err == nil && len(text) > maxTemplate {
		err = fmt.Errorf("%s: larger than %d MiB is no template", path, maxTemplate>>20)
	}
	return text, err
}

// loadHCLPath finds the files of an HCL2 template: one file, or all of a folder,
// the native ones in name order and then those in JSON.
func loadHCLPath(ctx context.Context, o Options, folder bool) (*Template, Diagnostics) {
	if !folder {
		return loadHCL(ctx, o, []string{o.Path})
	}
	paths, diags := templateFiles(o.Path)
	if diags.HasErrors() {
		return nil, diags
	}
	return loadHCL(ctx, o, paths)
}

// templateFiles lists the files of a folder that make up a template.
func templateFiles(dir string) ([]string, Diagnostics) {
	native, err := matching(dir, ".pkr.hcl")
	if err != nil {
		return nil, Errorf("Cannot read the folder", err.Error())
	}
	json, err := matching(dir, ".pkr.json")
	if err != nil {
		return nil, Errorf("Cannot read the folder", err.Error())
	}
	paths := append(native, json...)
	if len(paths) == 0 {
		return nil, Errorf("Could not find any config file in "+dir, "A config file must be suffixed with `.pkr.hcl` or `.pkr.json`. A folder can be referenced.")
	}
	return paths, nil
}

// matching lists the files directly in dir whose names end as given, sorted.
func matching(dir, suffix string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if !e.IsDir() && strings.HasSuffix(e.Name(), suffix) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(paths)
	return paths, nil
}
