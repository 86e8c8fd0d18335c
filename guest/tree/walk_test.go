package tree

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kiln"
)

// lay makes files, folders ("x/"), links ("x -> y") and hard links ("x = y").
func lay(t *testing.T, root string, entries ...string) {
	t.Helper()
	for _, e := range entries {
		var err error
		name, to, link := strings.Cut(e, " -> ")
		first, same, hard := strings.Cut(e, " = ")
		switch path := filepath.Join(root, name); {
		case link:
			err = os.Symlink(strings.ReplaceAll(to, "ROOT", root), path)
		case hard:
			err = os.Link(filepath.Join(root, same), filepath.Join(root, first))
		case strings.HasSuffix(e, "/"):
			err = os.MkdirAll(path, 0o755)
		default:
			err = os.WriteFile(path, []byte(e), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func list(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	err := Walk(t.Context(), root, func(e Entry) error {
		switch {
		case e.Link != "":
			all = append(all, e.Name+" -> "+e.Link)
		case e.Same != "":
			all = append(all, e.Name+" = "+e.Same)
		case e.Info.IsDir():
			all = append(all, e.Name+"/")
		default:
			all = append(all, e.Name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWalk(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	lay(t, root, "out/", "out/file", "out/sub/", "out/sub/deep", "out/in -> sub/deep", "out/far -> ../other",
		"out/back -> ../tree/a", "other", "tree/", "tree/a", "tree/d/", "tree/d/b",
		"tree/d/up -> ../a", "tree/d/abs -> ROOT/tree/a", "tree/d/around -> ../../tree/a", "tree/dir -> d",
		"tree/none -> nowhere", "tree/gone -> /no/such/thing", "tree/self -> self", "tree/holder -> ..", "tree/here -> .",
		"tree/file -> ../out/file", "tree/folder -> ROOT/out", "tree/hard = tree/a", "tree/d/hard = tree/a",
		"link -> tree", "links -> link")
	want := []string{
		"./", "a", "d/", "d/abs -> ../a", "d/around -> ../a", "d/b", "d/hard = a", "d/up -> ../a", "dir -> d", "file",
		"folder/", "folder/back -> ../a", "folder/far", "folder/file", "folder/in -> sub/deep", "folder/sub/",
		"folder/sub/deep", "gone -> /no/such/thing", "hard = a", "here -> .", "holder -> ..", "none -> nowhere",
		"self -> self",
	}
	for _, name := range []string{"tree", "tree/", "link", "link/", "links"} {
		if got := list(t, filepath.Join(root, name)+strings.Repeat("/", strings.Count(name, "/"))); !slices.Equal(got, want) {
			t.Errorf("%s:\n%q\nnot\n%q", name, got, want)
		}
	}
	lay(t, root, "ring/", "ring2/", "ring/to -> ../ring2", "ring2/to -> ../ring")
	if got := list(t, filepath.Join(root, "ring")); !slices.Equal(got, []string{"./", "to/", "to/to -> .."}) {
		t.Errorf("a ring: %q", got)
	}
}

func TestWalkAsIs(t *testing.T) {
	root := t.TempDir()
	lay(t, root, "tree/", "tree/a", "tree/b = tree/a", "tree/c = tree/a", "tree/out -> ../x", "tree/no/", "tree/no/x", "x",
		"link -> tree")
	if err := exec.Command("mkfifo", filepath.Join(root, "tree/pipe")).Run(); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: no named pipes here: %v", err)
	}
	var all []string
	skip := func(name string, folder bool) (bool, error) {
		if name == "no" {
			return true, fs.SkipDir
		}
		return name == "a", nil
	}
	err := WalkAsIs(t.Context(), filepath.Join(root, "link"), skip, func(e Entry) error {
		all = append(all, e.Name+" "+e.Link+" "+e.Same)
		return nil
	})
	if want := []string{".  ", "b  ", "c  b", "out ../x "}; err != nil || !slices.Equal(all, want) {
		t.Errorf("got %q, %v, not %q", all, err, want)
	}
	// Where they are to be sent, such files are an error.
	err = Walk(t.Context(), filepath.Join(root, "tree"), func(Entry) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "neither file, folder nor link") {
		t.Errorf("got %v", err)
	}
}

// What was packed comes back as it was, links of both kinds too.
func TestPackUnpack(t *testing.T) {
	root := t.TempDir()
	lay(t, root, "x", "tree/", "tree/a", "tree/b = tree/a", "tree/l -> a", "tree/out -> ../x", "tree/e/")
	var stream bytes.Buffer
	if err := Pack(t.Context(), &stream, filepath.Join(root, "tree"), PackOptions{}); err != nil {
		t.Fatal(err)
	}
	back := filepath.Join(root, "back")
	if err := Unpack(t.Context(), &stream, back, "", nil); err != nil {
		t.Fatal(err)
	}
	if got, want := list(t, back), []string{"./", "a", "b = a", "e/", "l -> a", "out"}; !slices.Equal(got, want) {
		t.Errorf("got %q, not %q", got, want)
	}
}

// A stream of padding without an end is an error.
func TestEndlessPadding(t *testing.T) {
	var one bytes.Buffer
	if err := tar.NewWriter(&one).Close(); err != nil {
		t.Fatal(err)
	}
	if err := Unpack(t.Context(), zeros{}, t.TempDir(), "", nil); err == nil {
		t.Error("no error")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A pipe to which nobody writes does not keep anybody; one to which somebody writes is
// read to its end, so that its size is known.
func TestPipe(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := exec.Command("mkfifo", pipe).Run(); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: no named pipes here: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, _, err := Source(ctx, &kiln.Upload{Source: pipe}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a pipe that nobody writes to: %v", err)
	}
	go exec.Command("sh", "-c", "echo hello >"+pipe).Run()
	content, size, _, err := Source(t.Context(), &kiln.Upload{Source: pipe})
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(content); err != nil || size != 6 || text.String() != "hello\n" {
		t.Errorf("got %d bytes, %q, %v", size, text.String(), err)
	}
	left, _ := os.ReadDir(os.TempDir())
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
