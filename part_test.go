package kiln

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// noted is a journal in memory.
type noted struct{ all, open []string }

func (n *noted) Own(_ string, r Resource) error {
	n.all, n.open = append(n.all, r.ID), append(n.open, r.ID)
	return nil
}

func (n *noted) Gone(_ string, r Resource) error {
	n.open = slices.DeleteFunc(n.open, func(id string) bool { return id == r.ID })
	return nil
}

func (n *noted) Release(string, ...Resource) error { return nil }

func TestWriteOwned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	j := &noted{}
	if err := WriteOwned(j, path, []byte("text"), 0o640); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if string(text) != "text" || err != nil || len(j.open) != 0 || len(j.all) != 1 ||
		!strings.HasPrefix(j.all[0], filepath.Join(filepath.Dir(path), ".kiln-")) {
		t.Errorf("%q %v; owned %v, still %v", text, err, j.all, j.open)
	}
	if err := WriteOwned(j, path+"/x", nil, 0o600); err == nil || len(j.open) != 0 {
		t.Errorf("below a file: %v; still owned: %v", err, j.open)
	}
}

// Parts of processes that are gone are found; of those that run, and other files, not.
func TestAbandonedParts(t *testing.T) {
	dir := t.TempDir()
	part, done, err := NewPart(nil, dir, ".kiln-")
	if err != nil {
		t.Fatal(err)
	}
	defer part.Close()
	var want []string
	for name, abandoned := range map[string]bool{
		".kiln-4194999-abcdefgh": true, "sub/.kiln-4194999-abcdefgh": true, ".kiln-1234567": true,
		".kiln-1-abcdefgh": false, ".kiln-lock": false, "kiln-4194999-abcdefgh": false, ".kiln-4194999-abcdefgh.txt": false,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if abandoned {
			want = append(want, path)
		}
	}
	found, err := AbandonedParts(dir)
	var got []string
	for _, r := range found {
		got = append(got, r.ID)
	}
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := os.Stat(part.Name()); err != nil || done() != nil {
		t.Errorf("the part of this process: %v", err)
	}
	if none, err := AbandonedParts(filepath.Join(dir, "nothing")); err != nil || len(none) > 0 {
		t.Errorf("a folder that is not there: %v, %v", none, err)
	}
}
