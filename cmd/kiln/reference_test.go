package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the reference pages anew")

// TestReferencePages keeps docs/reference as the schema and the sources' comments
// have it. go test ./cmd/kiln -run TestReferencePages -update renews it.
func TestReferencePages(t *testing.T) {
	dir := filepath.Join("..", "..", "docs", "reference")
	if *update {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range described() {
		text, err := d.Page(true, "")
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, d.Kind+"-"+d.Name+".md")
		if *update {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(have, []byte(text)) {
			t.Errorf("%s is not what the sources say: run make docs", path)
		}
		for line := range strings.SplitSeq(text, "\n") {
			if strings.HasPrefix(line, "| `") && strings.HasSuffix(line, "|  |") {
				t.Errorf("%s %s: an option without a word about it: %s", d.Kind, d.Name, line)
			}
		}
	}
}
