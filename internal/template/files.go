package template

import (
	"path/filepath"
	"strings"

	"kiln/internal/template/outside"
)

// IsHCL reports whether a file is HCL2 by its name.
func IsHCL(path string) bool {
	return strings.HasSuffix(path, ".pkr.hcl") || strings.HasSuffix(path, ".pkr.json")
}

// Matching lists the files directly in dir whose names end as given, sorted.
func Matching(w *outside.World, dir, suffix string) ([]string, error) {
	names, err := w.Dir(dir, suffix)
	for i, name := range names {
		names[i] = filepath.Join(dir, name)
	}
	return names, err
}
