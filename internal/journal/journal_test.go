package journal

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"kiln"
)

type fakeReaper struct {
	reaped []string
	fail   bool
	extra  []kiln.Resource
}

func (f *fakeReaper) Reap(_ context.Context, r kiln.Resource) error {
	if f.fail {
		return errors.New("cloud is down")
	}
	f.reaped = append(f.reaped, r.ID)
	return nil
}

func (f *fakeReaper) Owned(context.Context, string, kiln.Resource) ([]kiln.Resource, error) {
	return f.extra, nil
}

// fileReaper removes files.
type fileReaper struct{ fakeReaper }

func (fileReaper) Reap(_ context.Context, r kiln.Resource) error { return os.Remove(r.ID) }

func cleaner(dir string, f *fakeReaper) *Cleaner {
	return &Cleaner{Dir: dir, Reaper: func(_, _, owner string) (kiln.Reaper, error) {
		if owner == "" {
			return &fileReaper{}, nil
		}
		if owner != "builder.x" {
			return nil, errors.New("no such component")
		}
		return f, nil
	}}
}

func thing(id string) kiln.Resource { return kiln.Resource{Owner: "builder.x", Kind: "vm", ID: id} }

// crash ends a journal as a killed process does: the lock goes, the file stays.
func crash(j *Journal) { j.file.Close() }

func TestBalancedRunLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	j := New(dir, "r1", "t.json")
	for _, id := range []string{"a", "b"} {
		if err := j.Own("n", thing(id)); err != nil {
			t.Fatal(err)
		}
	}
	j.Gone("n", thing("a"))
	j.Release("n", thing("b"))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestCleanDestroysWhatIsOpenNewestFirst(t *testing.T) {
	dir := t.TempDir()
	j := New(dir, "r1", "t.json")
	file := filepath.Join(t.TempDir(), "tmp")
	os.WriteFile(file, nil, 0o600)
	j.Own("n", thing("a"))
	j.Own("n", thing("b"))
	j.Own("n", thing("c"))
	j.Own("n", kiln.Resource{Kind: kiln.KindFile, ID: file})
	j.Gone("n", thing("b"))
	f := &fakeReaper{extra: []kiln.Resource{thing("unrecorded")}}
	c := cleaner(dir, f)
	if err := c.Clean(t.Context(), ""); err != nil || len(f.reaped) != 0 {
		t.Fatalf("a live run was touched: %v %v", f.reaped, err)
	}
	if err := c.Clean(t.Context(), "r1"); !errors.Is(err, kiln.ErrConflict) {
		t.Errorf("cleaning a live run by name: %v", err)
	}
	crash(j)
	f.fail = true
	if err := c.Clean(t.Context(), ""); len(kiln.Undestroyed(err)) != 3 {
		t.Errorf("want a, c and the unrecorded one named, got %v", err)
	}
	f.fail = false
	if err := c.Clean(t.Context(), "r1"); err != nil {
		t.Fatal(err)
	}
	if got := f.reaped; len(got) != 3 || got[0] != "c" || got[1] != "a" || got[2] != "unrecorded" {
		t.Errorf("reaped %v", got)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the temporary file is still there")
	}
	if err := c.Clean(t.Context(), "r1"); !errors.Is(err, kiln.ErrNotFound) {
		t.Errorf("second cleaning: %v", err)
	}
}

func TestTornRecordIsPassedOver(t *testing.T) {
	run, err := replay(bytes.NewBufferString(`{"op":"own","build":"n","resource":{"kind":"file","id":"/a"}}
{"op":"own","build":"n","resou
{"op":"own","build":"n","resource":{"kind":"file","id":"/b"}}
{"op":"gone","build":"n","resource":{"kind":"file","id":"/a"}}
{"op":"release","build":"n","resource":{"kind":"fi`))
	if err != nil || len(run.Open) != 1 || run.Open[0].Resource.ID != "/b" {
		t.Errorf("%+v %v", run.Open, err)
	}
}

func FuzzReplay(f *testing.F) {
	f.Add([]byte(`{"op":"own","build":"n","resource":{"kind":"file","id":"/a"}}`))
	f.Add([]byte("{\"op\":\"gone\"}\n\n{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := replay(bytes.NewReader(text)); err != nil {
			t.Error(err)
		}
	})
}
