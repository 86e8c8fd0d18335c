package disk

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A change of any file that makes a disk is a new disk: each file is used by one at least.
func TestEachFileCounts(t *testing.T) {
	used := map[string]bool{}
	for _, d := range all {
		for _, name := range append(d.files, d.script) {
			used[name] = true
			if _, err := sources.ReadFile("make/" + name); err != nil {
				t.Errorf("%s uses %s: %v", d.script, name, err)
			}
		}
	}
	err := fs.WalkDir(sources, "make", func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && !used[strings.TrimPrefix(path, "make/")] {
			t.Errorf("%s is part of no disk", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Scripts name no file beside them that does not count.
func TestScriptsUseWhatCounts(t *testing.T) {
	for name, d := range all {
		for _, script := range append(d.files, d.script) {
			text, err := sources.ReadFile("make/" + script)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range strings.Split(string(text), "$here/")[1:] {
				file := part[:strings.IndexAny(part, "\"\n ")]
				if strings.Contains(file, "$") {
					continue // a function's argument
				}
				if !strings.Contains(" "+strings.Join(d.files, " ")+" ", " "+file+" ") {
					t.Errorf("%s: %s uses %s, which is no part of its hash", name, script, file)
				}
			}
		}
	}
}

// A disk is made once: the second call finds it, and a recipe that fails leaves nothing.
func TestDisksAreMadeOnce(t *testing.T) {
	if err := usable(); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: %v", err)
	}
	cache := t.TempDir()
	key, err := makeKey(t.Context(), cache)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := makeKey(t.Context(), cache); err != nil || again != key {
		t.Errorf("the second time the key is %q, %v", again, err)
	}
	if out, err := exec.Command("ssh-keygen", "-y", "-f", key).CombinedOutput(); err != nil {
		t.Errorf("the key cannot be read: %v: %s", err, out)
	}
	bad := recipe{script: "guest/seed.c"} // no script
	if _, err := bad.make(t.Context(), cache, key); err == nil {
		t.Error("a script that fails makes a disk")
	}
	left, err := filepath.Glob(filepath.Join(cache, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			t.Errorf("%s is left", path)
		}
	}
}
