package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kiln/internal/template/function"
	"kiln/internal/template/interpolate"
	"kiln/schema/docs"
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
	pages := map[string]string{}
	for _, word := range []string{docs.BlocksPage, docs.FunctionsPage} {
		pages[word] = strings.TrimRight(language().Page(true, word), "\n") + "\n"
	}
	for _, d := range described() {
		text, err := d.Page(true, "")
		if err != nil {
			t.Fatal(err)
		}
		pages[d.Kind+"-"+d.Name] = text
	}
	for name, text := range pages {
		path := filepath.Join(dir, name+".md")
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
			if strings.HasPrefix(line, "| `") && (strings.HasSuffix(line, "|  |") || strings.HasPrefix(line, "| `` |")) {
				t.Errorf("%s: an option without a word about it: %s", name, line)
			}
		}
	}
}

// Every word of the language has a line about it, and no line is about what does not exist.
func TestLanguageIsDescribed(t *testing.T) {
	l := language()
	for _, f := range slices.Concat(l.Functions, l.Engine) {
		if f.Usage == "" || f.About == "" {
			t.Errorf("the function %s has no line in functions.txt", f.Name)
		}
	}
	for text, all := range map[string][]docs.Function{function.Doc: l.Functions, interpolate.Doc: l.Engine} {
		if lines := strings.Count(text, "\n"); lines != len(all) {
			t.Errorf("%d lines about %d functions", lines, len(all))
		}
	}
	var check func(b docs.Syntax)
	check = func(b docs.Syntax) {
		if len(b.Attributes) != len(b.About) || b.Description == "" {
			t.Errorf("block %s: %v, %v, %q", b.Name, b.Attributes, b.About, b.Description)
		}
		for _, name := range b.Attributes {
			if b.About[name] == "" {
				t.Errorf("block %s: the attribute %s has no description", b.Name, name)
			}
		}
		for _, sub := range b.Blocks {
			check(sub)
		}
	}
	for _, b := range l.Blocks {
		check(b)
	}
}
