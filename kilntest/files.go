package kilntest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// WorkIn makes files below a new folder, by their paths, and works in it. Temporary files go to a folder of
// their own, which TMPDIR names.
func WorkIn(t *testing.T, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644))
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("TMPDIR", t.TempDir())
}
