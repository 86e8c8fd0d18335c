package test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// page is a Markdown file as a comment refers to it: by its path in the repository.
var page = regexp.MustCompile(`[\w./-]*\w\.md\b`)

// A reader who follows a reference finds what it names.
func TestCommentsReferToPagesThatExist(t *testing.T) {
	found := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, group := range file.Comments {
			for _, name := range page.FindAllString(group.Text(), -1) {
				found++
				if _, err := os.Stat(filepath.Join("..", name)); err != nil {
					t.Errorf("%s: a comment refers to %s, which is not in the repository", files.Position(group.Pos()), name)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 30 {
		t.Errorf("%d references were found: the test does not see them any more", found)
	}
}
