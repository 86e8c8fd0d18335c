package kilntest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Golden compares a text with a file of the test. KILN_TEST_UPDATE=1 writes the file anew.
func Golden(t testing.TB, path, got string) {
	t.Helper()
	if os.Getenv("KILN_TEST_UPDATE") != "" {
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, []byte(got), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (KILN_TEST_UPDATE=1 writes it anew):\n%s", path, diff)
	}
}
