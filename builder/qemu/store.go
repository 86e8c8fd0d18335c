package qemu

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kiln"
	"kiln/driver/disk"
	"kiln/driver/local"
	"kiln/driver/lock"
)

// store is the folder of all layers: below it one folder a layer, named by its key and a
// random part, as one that is made again must not take the place of what others stand on.
type store string

func openStore() (store, error) {
	cache, err := kiln.CacheDir()
	return store(filepath.Join(cache, "kiln-layers")), err
}

// kept is a layer. What it stands on is named in its disk, by paths.
type kept struct {
	Name    string        `json:"-"` // of its folder
	Key     kiln.LayerKey `json:"key"`
	On      string        `json:"on,omitempty"`   // the layer that it stands on; empty: none
	Base    string        `json:"base,omitempty"` // the template's disk below all; empty: none
	Created time.Time     `json:"created"`
	Guest   kiln.Guest    `json:"guest"` // what the way in led to
	Off     bool          `json:"off"`   // the machine was shut down
	EFI     bool          `json:"efi"`   // there are EFI variables
}

const (
	layerFile = "layer.json"
	layerDisk = "disk.qcow2"
	layerEFI  = "efivars.fd"
)

func (s store) disk(name string) string { return filepath.Join(string(s), name, layerDisk) }
func (s store) efi(name string) string  { return filepath.Join(string(s), name, layerEFI) }

// read reads a layer; nil: it is none, or not whole.
func (s store) read(name string) *kept {
	text, err := os.ReadFile(filepath.Join(string(s), name, layerFile))
	l := &kept{Name: name}
	if err != nil || json.Unmarshal(text, l) != nil || !strings.HasPrefix(name, string(l.Key)+".") {
		return nil
	}
	if _, err := os.Stat(s.disk(name)); err != nil {
		return nil
	}
	return l
}

// all are the layers, oldest first.
func (s store) all() ([]*kept, error) {
	entries, err := os.ReadDir(string(s))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []*kept
	for _, e := range entries {
		if l := s.read(e.Name()); l != nil {
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b *kept) int { return a.Created.Compare(b.Created) })
	return all, nil
}

// find looks for the newest whole layer of a key, for a machine that stands on a template's
// disk; nil: there is none.
func (s store) find(key kiln.LayerKey, base string) *kept {
	names, _ := filepath.Glob(filepath.Join(string(s), string(key)+".*"))
	var newest *kept
	for _, path := range names {
		l := s.read(filepath.Base(path))
		if l != nil && l.Base == base && s.whole(l) && (newest == nil || l.Created.After(newest.Created)) {
			newest = l
		}
	}
	return newest
}

// whole reports whether all is there that a layer stands on.
func (s store) whole(l *kept) bool {
	if l.Base != "" {
		if _, err := os.Stat(l.Base); err != nil {
			return false
		}
	}
	for l.On != "" {
		if l = s.read(l.On); l == nil {
			return false
		}
	}
	return true
}

// Of a build that runs: the folder of the disks that it works on, with the layer that these
// stand on and a file that it keeps locked.
const (
	workPrefix = "work-"
	standsFile = "stands-on"
	lockFile   = "lock"
)

// used reports whether a build that runs stands on a layer.
func (s store) used(name string) bool {
	works, _ := filepath.Glob(filepath.Join(string(s), workPrefix+"*"))
	for _, work := range works {
		on, err := os.ReadFile(filepath.Join(work, standsFile))
		if err != nil || string(on) != name {
			continue
		}
		f, err := os.OpenFile(filepath.Join(work, lockFile), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		free, err := lock.Try(f)
		f.Close()
		if !free || err != nil {
			return true
		}
	}
	return false
}

// KeptLayers lists the layers of all builds of this user.
func (c *Builder) KeptLayers(context.Context) ([]kiln.Layer, error) {
	s, err := openStore()
	if err != nil {
		return nil, err
	}
	all, err := s.all()
	var out []kiln.Layer
	for _, l := range all {
		layer := kiln.Layer{Key: l.Key, Created: l.Created, Size: s.size(l)}
		// One that was made again is there twice as long as others stand on the old one.
		if i := slices.IndexFunc(out, func(o kiln.Layer) bool { return o.Key == l.Key }); i >= 0 {
			layer.Size += out[i].Size
			out = slices.Delete(out, i, i+1)
		}
		out = append(out, layer)
	}
	return out, err
}

func (s store) size(l *kept) (size int64) {
	for _, path := range []string{s.disk(l.Name), s.efi(l.Name)} {
		if info, err := os.Stat(path); err == nil {
			size += info.Size()
		}
	}
	return size
}

// RemoveLayer removes what is kept under a key.
func (c *Builder) RemoveLayer(ctx context.Context, key kiln.LayerKey) error {
	s, err := openStore()
	if err != nil {
		return err
	}
	all, err := s.all()
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range all {
		if l.Key == key {
			errs = append(errs, s.remove(ctx, l, all))
		}
	}
	return errors.Join(errs...)
}

// remove removes a layer that nothing stands on.
func (s store) remove(ctx context.Context, l *kept, all []*kept) error {
	if s.used(l.Name) || slices.ContainsFunc(all, func(o *kept) bool { return o.On == l.Name }) {
		return fmt.Errorf("%w: other layers, or a build that runs, stand on it", kiln.ErrConflict)
	}
	// It is no layer any more before its disk goes.
	err := os.Remove(filepath.Join(string(s), l.Name, layerFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return local.RemoveTree(ctx, filepath.Join(string(s), l.Name))
}

// content is what a disk is, by the content of its file and of those that it stands on. A
// file that is as it was is not read again.
func (s store) content(ctx context.Context, path string) (string, error) {
	var sums []string
	for depth := 0; path != "" && depth < 100; depth++ {
		sum, err := s.sum(ctx, path)
		if err != nil {
			return "", err
		}
		sums = append(sums, sum)
		image, err := disk.Look(path)
		if err != nil {
			return "", err
		}
		if image.Backing != "" && !filepath.IsAbs(image.Backing) {
			image.Backing = filepath.Join(filepath.Dir(path), image.Backing)
		}
		path = image.Backing
	}
	return strings.Join(sums, " "), nil
}

// sum is the SHA-256 of a file.
func (s store) sum(ctx context.Context, path string) (string, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	mark, err := kiln.Mark(path)
	if err != nil {
		return "", err
	}
	name := sha256.Sum256([]byte(path))
	note := filepath.Join(string(s), "sums", hex.EncodeToString(name[:]))
	if text, err := os.ReadFile(note); err == nil {
		if was, sum, ok := strings.Cut(string(text), "\n"); ok && was == mark {
			return sum, nil
		}
	}
	f, err := kiln.Open(ctx, path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, &stoppable{ctx, f}); err != nil {
		return "", err
	}
	sum := hex.EncodeToString(h.Sum(nil))
	if now, err := kiln.Mark(path); err != nil || now != mark {
		return "", cmp.Or(err, fmt.Errorf("%s changed while it was read", path))
	}
	// Where this cannot be kept it is read again.
	if err := os.MkdirAll(filepath.Dir(note), 0o700); err == nil {
		_ = kiln.WriteFile(note, []byte(mark+"\n"+sum), 0o600)
	}
	return sum, nil
}

// stoppable reads until a context ends.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s *stoppable) Read(p []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	return s.r.Read(p)
}
