package test

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rules are the forbidden imports: files below from must not import packages below
// to, except those below one of but.
var rules = []struct{ from, to, but, why string }{
	{"builder", "kiln/internal", "",
		"a component knows the vocabulary only, so that it can be tested and moved alone"},
	{"provisioner", "kiln/internal", "", "as builders"},
	{"postprocessor", "kiln/internal", "", "as builders"},
	{"communicator", "kiln/internal", "", "as builders"},
	{"datasource", "kiln/internal", "", "as builders"},
	{"builder", "kiln/builder", "kiln/builder/internal", "components never import each other"},
	{"builder", "kiln/communicator/ssh", "", "a builder is handed the communicators that are listed"},
	{"builder", "kiln/communicator/none", "", "a builder is handed the communicators that are listed"},
	{"builder", "kiln/communicator/winrm", "", "a builder is handed the communicators that are listed"},
	{"builder", "kiln/provisioner", "", "components never import each other"},
	{"builder", "kiln/postprocessor", "", "components never import each other"},
	{"provisioner", "kiln/provisioner", "", "components never import each other"},
	{"provisioner", "kiln/builder", "", "components never import each other"},
	{"provisioner", "kiln/postprocessor", "", "components never import each other"},
	{"provisioner", "kiln/communicator", "", "a provisioner is handed its communicator"},
	{"postprocessor", "kiln/postprocessor", "", "components never import each other"},
	{"postprocessor", "kiln/builder", "", "components never import each other"},
	{"postprocessor", "kiln/provisioner", "", "components never import each other"},
	{"postprocessor", "kiln/communicator", "", "a post-processor has an artifact and no machine"},
	{"datasource", "kiln/builder", "", "components never import each other"},
	{"datasource", "kiln/datasource", "", "components never import each other"},
	{"communicator", "kiln/builder", "", "components never import each other"},
	{"driver", "kiln", "kiln/guest kiln/media",
		"what components share knows the vocabulary, and below it guest and media, alone"},
	{"guest", "kiln", "", "what components share knows the vocabulary alone"},
	{"media", "kiln", "", "what components share knows the vocabulary alone"},
	{"media", "kiln/internal", "", "as builders, which share it"},
	{"media", "kiln/builder", "", "what is beside a guest knows no machine"},
	{"media", "kiln/communicator", "", "what is beside a guest knows no way into it"},
	{"media", "kiln/provisioner", "", "what components share knows none of them"},
	{"media", "kiln/postprocessor", "", "what components share knows none of them"},
	{"media", "kiln/datasource", "", "what components share knows none of them"},
	{"media", "kiln/schema", "", "as builders: it is described by it, and does not use it"},
	{"media", "github.com/hashicorp/hcl", "", "hcl and cty stay within schema and template"},
	{"communicator", "kiln/media", "", "what is beside a guest is its builder's"},
	{"provisioner", "kiln/media", "", "what is beside a guest is its builder's"},
	{"datasource", "kiln/media", "", "what is beside a guest is its builder's"},
	{"internal/engine", "kiln/media", "", "what is beside a guest is its builder's"},
	{"internal/template", "kiln/media", "", "what is beside a guest is its builder's"},
	{"vm", "kiln", "kiln/guest kiln/media kiln/driver", "what builders share knows none of them"},
	{"communicator", "kiln/vm", "", "machines are their builders'"},
	{"provisioner", "kiln/vm", "", "machines are their builders'"},
	{"postprocessor", "kiln/vm", "", "machines are their builders'"},
	{"datasource", "kiln/vm", "", "machines are their builders'"},
	{"driver", "kiln/vm", "", "what is outside is below what uses it"},
	{"media", "kiln/vm", "", "what is beside a guest is below what uses it"},
	{"internal/engine", "kiln/vm", "", "machines are their builders'"},
	{"internal/template", "kiln/vm", "", "machines are their builders'"},
	{"archive", "kiln", "", "what components share knows the vocabulary alone"},
	{"schema", "kiln", "", "a description of components knows none of them"},
	{"internal/engine", "kiln/builder", "", "the engine is handed the list of components"},
	{"internal/engine", "kiln/provisioner", "", "the engine is handed the list of components"},
	{"internal/engine", "kiln/communicator", "", "the engine is handed the list of components"},
	{"internal/engine", "kiln/postprocessor", "", "the engine is handed the list of components"},
	{"internal/engine", "kiln/datasource", "", "the engine is handed the list of components"},
	{"internal/template", "kiln/provisioner", "", "templates are handed the list of components"},
	{"internal/template", "kiln/postprocessor", "", "templates are handed the list of components"},
	{"internal/template", "kiln/communicator", "", "templates are handed the list of components"},
	{"internal/template", "kiln/datasource", "", "templates are handed the list of components"},
	{"datasource", "kiln/provisioner", "", "components never import each other"},
	{"datasource", "kiln/postprocessor", "", "components never import each other"},
	{"datasource", "kiln/communicator", "", "components never import each other"},
	{"communicator", "kiln/provisioner", "", "components never import each other"},
	{"communicator", "kiln/postprocessor", "", "components never import each other"},
	{"internal/engine", "kiln/driver", "kiln/driver/lock", "what is outside is the components' concern"},
	{"internal/template", "kiln/builder", "", "templates are handed the list of components"},
	{"internal/template", "kiln/driver", "", "a template is text: what is outside is the components' concern"},
	{"internal/template", "kiln/internal/engine", "", "templates are read before anything runs"},
	{"internal/ui", "kiln/internal", "", "a sink knows events only"},
	{"internal/ui", "kiln/schema", "", "a sink knows events only"},
	{"internal/redact", "kiln/internal", "", "the redactor is in front of all sinks and knows none of them"},
	{"internal/journal", "kiln/internal", "", "the journal is below all others"},
	{"internal/journal", "kiln/driver", "kiln/driver/lock", "the journal is handed who destroys things"},
	{"test/added/cloudbox", "kiln/internal", "", "as builders"},
	{"test/added/wire", "kiln/internal", "", "as builders"},
	{"test/added/banner", "kiln/internal", "", "as builders"},
	{"test/added/weather", "kiln/internal", "", "as builders"},
	{"internal/download", "kiln/internal", "", "it is lent to builds, and knows the vocabulary alone"},
	{"internal/download", "kiln/driver", "kiln/driver/lock kiln/driver/process", "it is lent to builds, and knows the vocabulary alone"},
	{"internal/home", "kiln/internal", "", "a folder, and whose it is"},
	{"internal/line", "kiln", "", "a terminal's lines, whatever they are for"},
	{"internal/history", "kiln/internal", "", "a record is made of events only"},
	{"internal/trace", "kiln/internal", "", "spans are made of events only"},
	{"internal/plugin", "kiln/internal", "", "plugins are files; who runs them is another concern"},
	{"internal/secrets", "kiln/internal", "", "it is handed to templates as an interface"},
	{"internal/template", "kiln/internal/secrets", "", "templates are handed the services"},
	{"internal/engine", "github.com/hashicorp/hcl", "", "hcl and cty stay within schema and template"},
	{"internal/engine", "github.com/zclconf/go-cty", "", "hcl and cty stay within schema and template"},
	{"builder", "github.com/hashicorp/hcl", "", "hcl and cty stay within schema and template"},
	{"cmd", "github.com/hashicorp/hcl", "", "hcl and cty stay within schema and template"},
}

func TestImports(t *testing.T) {
	root := ".."
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			check(t, rel, imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// rooms are words that only these files may hold: what they name goes around the
// redactor.
var rooms = []struct {
	word, why string
	files     []string
}{
	{"os.Stdout", "output goes through program.out", []string{"cmd/kiln/main.go"}},
	{"os.Stderr", "output goes through program.errs", []string{"cmd/kiln/main.go"}},
	{".Structured()", "only where what is written is masked already",
		[]string{"cmd/kiln/logs.go", "cmd/kiln/plan.go", "cmd/kiln/sinks.go", "internal/redact/stream.go"}},
	{".mask(", "nobody masks by hand", []string{"internal/redact/redact.go", "internal/redact/stream.go",
		"internal/redact/value.go"}},
	{"MaskEvent", "nobody masks by hand", nil},
	{".Mask(", "nobody masks by hand", nil},
}

func TestRooms(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := filepath.Rel("..", path)
		if err != nil || strings.HasPrefix(file, "test/") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, r := range rooms {
			if bytes.Contains(text, []byte(r.word)) && !slices.Contains(r.files, file) {
				t.Errorf("%s has %s: %s", file, r.word, r.why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, file, imported string) {
	t.Helper()
	if !strings.Contains(file, "/") && strings.Contains(strings.Split(imported, "/")[0], ".") {
		t.Errorf("%s imports %s: package kiln has the standard library only", file, imported)
	}
	for _, r := range rules {
		own := "kiln/" + filepath.Dir(file)
		if !strings.HasPrefix(file, r.from+"/") || !below(imported, r.to) || below(imported, own) ||
			below(own, imported) {
			continue
		}
		if r.to == "kiln" && (imported == "kiln" || below(imported, "kiln/"+r.from)) {
			continue // the vocabulary, and the room itself
		}
		if slices.ContainsFunc(strings.Fields(r.but), func(but string) bool { return below(imported, but) }) {
			continue
		}
		t.Errorf("%s imports %s: %s", file, imported, r.why)
	}
}

func below(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }
