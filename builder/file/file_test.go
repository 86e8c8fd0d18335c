package file

import (
	"os"
	"path/filepath"
	"testing"

	"kiln"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	target := filepath.Join(t.TempDir(), "deep", "out.txt")
	kilntest.TestBuilder(t, kilntest.BuilderOptions{
		New: func() kiln.Builder { return &Builder{Target: target, Content: "text"} },
		Left: func() []string {
			var names []string
			entries, _ := os.ReadDir(filepath.Dir(target))
			for _, e := range entries {
				names = append(names, e.Name())
			}
			return names
		},
	})
}
