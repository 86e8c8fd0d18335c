package files

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kiln"
	"kiln/driver/local"
	"kiln/kilntest"
)

func TestClean(t *testing.T) {
	for key, want := range map[string]string{
		"a": "a", "/a": "a", "a/b": "a/b", "//a//b": "a/b", "./a": "a", "../../a": "a", "a/../../b": "b", `a\b`: "a/b",
		" ": " ", "": "", "/": "", ".": "", "..": "", "a/": "", `a\`: "", "a/..": "",
	} {
		if got, err := Clean(key); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q (%v), want %q", key, got, err, want)
		}
	}
}

// A name never leads above the root, and stays as it is once it is clean.
func FuzzClean(f *testing.F) {
	for _, key := range []string{"a", "../a", `..\..\a`, "a/./b/..", "/", "\x00"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		name, err := Clean(key)
		if err != nil {
			return
		}
		again, err := Clean(name)
		if again != name || err != nil || !filepath.IsLocal(filepath.FromSlash(name)) {
			t.Errorf("%q is %q, and then %q (%v)", key, name, again, err)
		}
	})
}

func TestWalk(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"b/two": "2", "a": "1", "b/empty/x": ""} {
		path := filepath.Join(dir, name)
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755))
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"link": "a", "c": "b"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	var seen []string
	b, _ := kilntest.NewBuild(t)
	err := Walk(t.Context(), b, dir, func(name string, f *File) error {
		if f != nil {
			if err := f.Read(t.Context()); err != nil {
				return err
			}
			name += "=" + string(f.Text)
		}
		seen = append(seen, filepath.ToSlash(name))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		".", "a=1", "b", "b/empty", "b/empty/x=", "b/two=2", "c", "c/empty", "c/empty/x=", "c/two=2", "link=1",
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
	if err := os.Symlink("missing", filepath.Join(dir, "d")); err != nil {
		t.Fatal(err)
	}
	if err := Walk(t.Context(), b, dir, func(string, *File) error { return nil }); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a link that leads nowhere: %v", err)
	}
}

func TestReadChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("1234"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{3, 5} {
		f := File{Path: path, Size: size}
		if err := f.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "was changed") {
			t.Errorf("it ended with %v", err)
		}
	}
}

func TestPut(t *testing.T) {
	lower := strings.ToLower
	root := &Node{}
	one, two := Content([]byte("1"), time.Time{}), Content([]byte("2"), time.Time{})
	refuse := func(path string, _, _ *File) (*File, error) { return nil, errors.New("twice " + path) }
	for _, put := range []struct {
		path string
		file *File
		want string
	}{
		{".", nil, ""}, {"", nil, ""}, {"B/x", one, ""}, {"b", nil, ""}, {"a", one, ""}, {"b/X", two, "twice b/X"},
		{"a", nil, "a is both a file and a folder"}, {"a/b", one, "a is both a file and a folder"},
		{"b", one, "b is both a file and a folder"},
	} {
		err := root.Put(put.path, put.file, lower, refuse)
		if put.want == "" && err != nil || put.want != "" && (err == nil || err.Error() != put.want) {
			t.Errorf("%s: %v, want %q", put.path, err, put.want)
		}
	}
	if err := root.Put("A", two, lower, Later); err != nil {
		t.Error(err)
	}
	root.Sort()
	if len(root.Children) != 2 || root.Children[0].Name != "B" || root.Children[1].File != two {
		t.Errorf("there is %v", root.Children)
	}
}

func TestImage(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	b, r := kilntest.NewBuild(t)
	wrong := errors.New("disk is full")
	if _, err := Image(t.Context(), b, ".img", func(w io.Writer) error {
		_, err := io.WriteString(w, "part")
		return errors.Join(err, wrong)
	}); !errors.Is(err, wrong) {
		t.Errorf("it ended with %v", err)
	}
	left := func() []string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if len(left()) != 0 || len(r.Balance()) != 0 {
		t.Errorf("there is %v, owned %v", left(), r.Balance())
	}
	r.OnOwn = func(int, kiln.Resource) error {
		if found := left(); len(found) != 0 {
			t.Errorf("%v is there before it is owned", found)
		}
		return nil
	}
	path, err := Image(t.Context(), b, ".img", kilntest.Text("whole"))
	if err != nil || !strings.HasPrefix(filepath.Base(path), "packer") || filepath.Ext(path) != ".img" {
		t.Fatalf("it is %s, %v", path, err)
	}
	// After a crash another process removes it.
	for _, res := range r.Balance() {
		if err := (local.Reaper{}).Reap(t.Context(), res); err != nil {
			t.Error(err)
		}
	}
	if found := left(); len(found) != 0 {
		t.Errorf("%v is left", found)
	}
}
