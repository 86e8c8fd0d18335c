package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"kiln"
	"kiln/driver/lock"
)

// put makes a layer as a build does.
func put(t *testing.T, s store, l kept) *kept {
	t.Helper()
	dir := filepath.Join(string(s), l.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(l)
	if err == nil {
		err = errors.Join(os.WriteFile(s.disk(l.Name), []byte("disk"), 0o600),
			os.WriteFile(filepath.Join(dir, layerFile), text, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	return &l
}

func TestStore(t *testing.T) {
	t.Setenv("KILN_CACHE_DIR", t.TempDir())
	s, err := openStore()
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(t.TempDir(), "base.qcow2")
	if err := os.WriteFile(base, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	put(t, s, kept{Name: "k-1.old", Key: "k-1", Base: base, Created: now.Add(-time.Hour)})
	put(t, s, kept{Name: "k-1.new", Key: "k-1", Base: base, Created: now})
	put(t, s, kept{Name: "k-2.a", Key: "k-2", Base: base, On: "k-1.old", Created: now.Add(time.Second)})
	put(t, s, kept{Name: "k-3.a", Key: "k-3", Base: base, On: "gone", Created: now})
	for _, c := range []struct {
		key        kiln.LayerKey
		base, want string
	}{
		{"k-1", base, "k-1.new"}, {"k-2", base, "k-2.a"}, {"k-2", "other", ""}, {"k-3", base, ""}, {"k", base, ""},
	} {
		got := ""
		if l := s.find(c.key, c.base); l != nil {
			got = l.Name
		}
		if got != c.want {
			t.Errorf("%s on %s: found %q, want %q", c.key, c.base, got, c.want)
		}
	}
	b := new(Builder)
	all, err := b.KeptLayers(t.Context())
	if err != nil || len(all) != 3 || all[0].Key != "k-1" && all[1].Key != "k-1" {
		t.Errorf("%v, %v", all, err)
	}
	// Nothing goes that something stands on, another layer or a build that runs.
	if err := b.RemoveLayer(t.Context(), "k-1"); !errors.Is(err, kiln.ErrConflict) {
		t.Errorf("a layer that another stands on: %v", err)
	}
	if s.read("k-1.old") == nil || s.read("k-1.new") != nil {
		t.Error("what nothing stands on did not go, or the other did")
	}
	work := filepath.Join(string(s), workPrefix+"1")
	if err := os.MkdirAll(work, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(work, standsFile), []byte("k-2.a"), 0o600); err != nil {
		t.Fatal(err)
	}
	unlock, err := lock.File(t.Context(), filepath.Join(work, lockFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.RemoveLayer(t.Context(), "k-2"); !errors.Is(err, kiln.ErrConflict) {
		t.Errorf("a layer that a build stands on: %v", err)
	}
	unlock() // it has ended, or was killed
	for _, key := range []kiln.LayerKey{"k-2", "k-1", "k-3", "never"} {
		if err := b.RemoveLayer(t.Context(), key); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	if all, err := b.KeptLayers(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("there are %v, %v", all, err)
	}
	if err := os.Remove(base); err != nil {
		t.Fatal(err)
	}
	put(t, s, kept{Name: "k-1.x", Key: "k-1", Base: base, Created: now})
	if s.find("k-1", base) != nil {
		t.Error("the disk below is gone, and the layer is found")
	}
}

// The content of a disk is its own and that of what it stands on, read once.
func TestContent(t *testing.T) {
	s := store(t.TempDir())
	path := filepath.Join(t.TempDir(), "disk.raw")
	write := func(text string) string {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		sum, err := s.content(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	a, b := write("a disk"), write("another one")
	if again := write("a disk"); a == b || a != again {
		t.Errorf("%s, %s, %s", a, b, again)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if sum, err := s.content(ctx, path); err != nil || sum != a {
		t.Errorf("a file that is as it was is read again: %v", err)
	}
}

const lookedAt = `shell 200
process 1 (init) S 0 1 1 0 -1 4194560 1 2 3
process 2 (kthreadd) S 0 0 0 0 -1 2129984 0 0
process 40 (kworker/0:1) I 2 0 0 0 -1 69238880 0 0
process 100 (sshd) S 1 100 100 0 -1 4194560 0 0
process 150 (sshd) S 100 150 150 0 -1 4194560 0 0
process 200 (sh) S 150 200 200 0 -1 4194304 0 0
process 201 (cat) R 200 200 200 0 -1 4194304 0 0
process 300 (a (b) c) S 1 300 300 0 -1 4194560 0 0
process 301 (gone) Z 1 301 301 0 -1 4194560 0 0
process
process 5 (x
mount /dev/vda1 / ext4 rw 0 0
mount tmpfs /run/user/0 tmpfs rw 0 0
mount proc /proc proc rw 0 0
mount /dev/vdb /mnt ext4 rw 0 0
file /tmp/x y
file /tmp/systemd-private-1-a.service-x
`

func TestParseRunning(t *testing.T) {
	r := parseRunning(lookedAt)
	if len(r.processes) != 2 || r.processes["init"] != 1 || !slices.Equal(r.ids["a (b) c"], []string{"300"}) {
		t.Errorf("processes: %v", r.processes)
	}
	if len(r.mounts) != 2 || !r.mounts["/"] || !r.mounts["/mnt"] || len(r.files) != 1 || !r.files["/tmp/x y"] {
		t.Errorf("mounts %v, files %v", r.mounts, r.files)
	}
}

func FuzzParseRunning(f *testing.F) {
	f.Add(lookedAt)
	f.Add("shell 2\nprocess 2 (a) S 3 1 1 1 1 0\nprocess 3 (b) S 2 1 1 1 1 0\n")
	f.Add("shell 1\nprocess 1 (a) S 1 1 1 1 1 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := parseRunning(text)
		for name, n := range r.processes {
			if n != len(r.ids[name]) {
				t.Errorf("%d processes %q have %d ids", n, name, len(r.ids[name]))
			}
		}
	})
}
