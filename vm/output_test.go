package vm

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kiln"
	"kiln/driver/local"
	"kiln/kilntest"
)

func put(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func TestOutput(t *testing.T) {
	t.Chdir(t.TempDir())
	b, r := kilntest.NewBuild(t)
	b.Source = "x"
	var o OutputDirectory
	out, err := o.Make(t.Context(), b, MustNotExist)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat("output-x"); err != nil || info.Mode().Perm() != 0o755 {
		t.Fatalf("%v, %v", info, err)
	}
	put(t, "output-x/packer-x")
	put(t, "output-x/efivars.fd")
	put(t, "output-x/sub/file")
	if err := os.Symlink("packer-x", "output-x/link"); err != nil {
		t.Fatal(err)
	}
	files, all, err := out.Release()
	want := []string{"output-x/efivars.fd", "output-x/packer-x", "output-x/sub/file"}
	if err != nil || !slices.Equal(files, want) || len(all) != 4 {
		t.Fatalf("%v %v %v", files, all, err)
	}
	if open := r.Balance(); len(open) != 1 || open[0].Kind != kiln.KindFolder {
		t.Errorf("the journal has %v", open)
	}
	if err := b.Close(t.Context()); err != nil || !exists("output-x/packer-x") {
		t.Errorf("%v; what was released is gone", err)
	}
	for _, part := range all {
		if is, err := (local.Reaper{}).Stands(t.Context(), part); !is || err != nil {
			t.Errorf("%v stands: %v, %v", part, is, err)
		}
	}
	// A later step destroys the artifact.
	if err := b.Destroy(t.Context(), all[0]); err != nil || exists("output-x") {
		t.Errorf("%v; it is still there", err)
	}
	if said := r.Texts(kiln.EventSay); len(said) != 0 {
		t.Errorf("it said %q", said)
	}
	if is, err := (local.Reaper{}).Stands(t.Context(), all[0]); is || err != nil {
		t.Errorf("a folder that is gone stands: %v", err)
	}
}

func TestOutputFails(t *testing.T) {
	t.Chdir(t.TempDir())
	b, r := kilntest.NewBuild(t)
	if _, err := (&OutputDirectory{Directory: "a/b"}).Make(t.Context(), b, MustNotExist); err != nil {
		t.Fatal(err)
	}
	put(t, "a/b/c/d")
	if err := b.Close(t.Context()); err != nil || exists("a/b") || !exists("a") || len(r.Balance()) != 0 {
		t.Errorf("%v; the journal has %v", err, r.Balance())
	}
	if said := r.Texts(kiln.EventSay); !slices.Equal(said, []string{"Deleting output directory..."}) {
		t.Errorf("it said %q", said)
	}
}

func TestOutputExists(t *testing.T) {
	t.Chdir(t.TempDir())
	put(t, "out/mine")
	o := OutputDirectory{Directory: "out"}
	b, r := kilntest.NewBuild(t)
	for text, want := range map[string]string{
		MustNotExist: "Output directory 'out' already exists. It must not exist.",
		UseForce:     "Output directory exists: out\n\nUse the force flag to delete it prior to building.",
	} {
		if _, err := o.Make(t.Context(), b, text); err == nil || err.Error() != want || !errors.Is(err, kiln.ErrInvalid) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := b.Close(t.Context()); err != nil || !exists("out/mine") || r.Owns() != 0 {
		t.Errorf("%v; what was there is gone", err)
	}
	b.Force = true
	out, err := o.Make(t.Context(), b, UseForce)
	if err != nil || exists("out/mine") {
		t.Fatalf("%v; what was there is still there", err)
	}
	// Another build does not take it for an old one.
	other, _ := kilntest.NewBuild(t)
	other.Force = true
	if err := o.Free(other, UseForce); err == nil || !strings.Contains(err.Error(), "a build that is running") {
		t.Errorf("%v", err)
	}
	if _, _, err := out.Release(); err != nil {
		t.Fatal(err)
	}
	if err := o.Free(other, UseForce); err != nil {
		t.Error(err)
	}
	for _, path := range []string{".", "..", "/", "../" + filepath.Base(mustWd(t))} {
		if err := (&OutputDirectory{Directory: path}).Free(other, UseForce); err == nil ||
			!strings.Contains(err.Error(), "it holds ") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func mustWd(t *testing.T) string {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// After a crash the folder goes, and never another that has its name by then.
func TestOutputReaped(t *testing.T) {
	for what, c := range map[string]struct {
		change func()
		left   bool
	}{
		"as it was":   {func() {}, false},
		"gone":        {func() { os.RemoveAll("out") }, false},
		"another one": {func() { os.RemoveAll("out"); os.Mkdir("out", 0o755); put(t, "out/mine") }, true},
		"a file":      {func() { os.RemoveAll("out"); put(t, "out") }, true},
		"a link": {func() {
			os.RemoveAll("out")
			os.Mkdir("mine", 0o755)
			os.Symlink("mine", "out")
		}, true},
	} {
		t.Chdir(t.TempDir())
		b, r := kilntest.NewBuild(t)
		if _, err := (&OutputDirectory{Directory: "out"}).Make(t.Context(), b, UseForce); err != nil {
			t.Fatal(err)
		}
		c.change()
		for _, open := range r.Balance() {
			err := (local.Reaper{}).Reap(t.Context(), open)
			if c.left != errors.Is(err, kiln.ErrReplaced) || err != nil && !c.left {
				t.Errorf("%s: %v", what, err)
			}
		}
		if exists("out") != c.left {
			t.Errorf("%s: left %v", what, exists("out"))
		}
	}
}

// A build that ends at any moment of the making leaves nothing.
func TestOutputCrash(t *testing.T) {
	for crash := 1; crash <= 2; crash++ {
		t.Chdir(t.TempDir())
		b, r := kilntest.NewBuild(t)
		stop := errors.New("stop")
		r.OnOwn = func(n int, _ kiln.Resource) error {
			if n == crash {
				return stop
			}
			return nil
		}
		if _, err := (&OutputDirectory{Directory: "out"}).Make(t.Context(), b, UseForce); !errors.Is(err, stop) {
			t.Fatal(err)
		}
		for _, open := range r.Balance() {
			if err := (local.Reaper{}).Reap(t.Context(), open); err != nil {
				t.Errorf("crash at %d: %v", crash, err)
			}
		}
		if left, err := os.ReadDir("."); len(left) != 0 || err != nil {
			t.Errorf("crash at %d: left %v, %v", crash, left, err)
		}
	}
	for _, id := range []string{"/", "/tmp", "relative", "/a/../b.kiln-aaaaaaaaaa"} {
		err := (local.Reaper{}).Reap(t.Context(), kiln.Resource{Kind: kiln.KindFolder, ID: id})
		if err == nil || !strings.Contains(err.Error(), "remove it by hand") {
			t.Errorf("%s: %v", id, err)
		}
	}
}
