package engine

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"kiln"
	"kiln/guest/tree"
	"kiln/schema"
)

// Inputs is what a step's effect, or a machine's start state, depends on: name to
// keyed hash.
type Inputs map[string]string

// A Hasher hashes inputs with a secret key, so that no secret of a template can be
// guessed from a hash. It remembers the content of files that have not changed since.
type Hasher struct {
	key  []byte
	mu   sync.Mutex
	seen map[string]seenFile
}

type seenFile struct{ mark, sum string }

// NewHasher makes a hasher with a key.
func NewHasher(key []byte) *Hasher { return &Hasher{key: key, seen: map[string]seenFile{}} }

// Sum hashes texts, each with its length, so that no two lists have the same sum.
func (h *Hasher) Sum(parts ...string) string {
	sum := h.new()
	for _, p := range parts {
		fmt.Fprintf(sum, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func (h *Hasher) new() hash.Hash { return hmac.New(sha256.New, h.key) }

// errNoInput is a file whose content cannot be part of a key, such as a pipe: who reads
// it once takes it from the step.
var errNoInput = errors.New("is not a regular file, so that its content cannot be known beforehand")

// Step lists what the effect of a configured provisioner depends on: its type, every
// field, the content of every file that it names, and the variables that its scripts
// are given. This is the only place where that is said.
func (h *Hasher) Step(kind string, component any, b *kiln.Build) (Inputs, error) {
	in, err := h.fields(kind, component, func(*schema.Field) bool { return true })
	if err != nil || kiln.TraitsOf(component).NoScript {
		return in, err
	}
	for name, value := range b.GuestVars(nil) {
		in["variable "+name] = h.Sum(value)
	}
	return in, nil
}

// Owners adds whom the files belong to that a component names, for machines that are given
// files together with their owners.
func (h *Hasher) Owners(in Inputs, component any) error {
	for _, path := range schema.Files(component) {
		if path == "" {
			continue
		}
		sum := h.new()
		err := tree.Walk(context.Background(), path, func(e tree.Entry) error {
			uid, gid, _ := tree.Owner(e.Info)
			fmt.Fprintf(sum, "%q %d %d\n", e.Name, uid, gid)
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look at the owners of %s: %w", path, err)
		}
		in["owners in "+path] = hex.EncodeToString(sum.Sum(nil))
	}
	return nil
}

// Builder lists what the start state of a machine depends on beside the identity of
// its source: the type and all fields but those that name the source or that are used
// only after the machine is done.
func (h *Hasher) Builder(kind string, component any) (Inputs, error) {
	return h.fields(kind, component, func(f *schema.Field) bool { return !f.Late && !f.Origin })
}

func (h *Hasher) fields(kind string, component any, counts func(*schema.Field) bool) (Inputs, error) {
	in := Inputs{"type": h.Sum(kind)}
	for _, v := range schema.Values(component) {
		if !counts(v.Field) {
			continue
		}
		in[v.Field.Name] = h.Sum(v.Text)
		for _, path := range v.Files {
			sum, err := h.Tree(path)
			if err != nil {
				return nil, err
			}
			in["file "+path] = sum
		}
	}
	return in, nil
}

// Tree hashes a file or folder with names, modes, links and content. A link at its root
// is followed, and so are those that lead out of it, as an upload follows them. That it
// does not exist is a state too: the step itself will say so.
func (h *Hasher) Tree(root string) (string, error) {
	sum := h.new()
	// A pipe that was handed over as /dev/fd/N has no name that could be resolved.
	if info, err := os.Stat(root); err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s %w", root, errNoInput)
	}
	real, err := filepath.EvalSymlinks(root)
	if errors.Is(err, fs.ErrNotExist) {
		return h.Sum("absent"), nil
	}
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err == nil {
		err = h.tree(sum, []string{real})
	}
	if err != nil {
		return "", fmt.Errorf("look at %s: %w", root, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// tree hashes the last of some trees, each of which is led to by a link of the one before.
func (h *Hasher) tree(sum hash.Hash, roots []string) error {
	seen := map[string]string{} // names of files that have several, which an upload keeps the same file
	return filepath.WalkDir(roots[len(roots)-1], func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(sum, "absent %q\n", path)
			return nil
		}
		if err != nil {
			return err
		}
		return h.entry(sum, roots, path, seen)
	})
}

// entry adds one entry of a tree. Times do not count: they change with every checkout.
func (h *Hasher) entry(sum hash.Hash, roots []string, path string, seen map[string]string) error {
	name, err := filepath.Rel(roots[len(roots)-1], path)
	if err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(sum, "%q %v %d\n", name, info.Mode(), info.Size())
	switch {
	case info.IsDir():
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%q\n", target)
		led, err := filepath.EvalSymlinks(path)
		if err != nil || slices.ContainsFunc(roots, func(r string) bool { return holds(r, led) || holds(led, r) }) {
			return nil // it leads nowhere, or to what is hashed anyway
		}
		fmt.Fprintln(sum, "{")
		defer fmt.Fprintln(sum, "}")
		return h.tree(sum, append(slices.Clone(roots), led))
	case info.Mode().IsRegular():
		if id := tree.Identity(info); id != "" {
			if first, ok := seen[id]; ok {
				fmt.Fprintf(sum, "is %q\n", first)
				return nil
			}
			seen[id] = name
		}
		content, err := h.content(path)
		fmt.Fprintln(sum, content)
		return err
	case len(roots) == 1:
		return fmt.Errorf("%s %w", path, errNoInput)
	}
	return nil // elsewhere: no step can use it
}

// holds reports whether a file is a folder itself, or in it.
func holds(folder, file string) bool {
	rel, err := filepath.Rel(folder, file)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// freshTime is how long ago a file must have been changed for its mark to be trusted:
// within one tick of the file system's clock a second change has the same time.
const freshTime = 100 * time.Millisecond

// content hashes a file's content, unless it was hashed already and has not changed.
func (h *Hasher) content(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	mark, err := kiln.Mark(abs)
	if err != nil {
		return "", err
	}
	h.mu.Lock()
	seen := h.seen[abs]
	h.mu.Unlock()
	if seen.mark == mark {
		return seen.sum, nil
	}
	now := time.Now()
	f, err := os.Open(abs)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := h.new()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	text := hex.EncodeToString(sum.Sum(nil))
	if info, err := f.Stat(); err == nil && now.Sub(info.ModTime()) > freshTime {
		h.mu.Lock()
		h.seen[abs] = seenFile{mark, text}
		h.mu.Unlock()
	}
	return text, nil
}

func (in Inputs) list() []string {
	var all []string
	for name, sum := range in {
		all = append(all, name+"="+sum)
	}
	slices.Sort(all)
	return all
}

// diff names the inputs that differ; "": none.
func (in Inputs) diff(last Inputs) string {
	var changed []string
	for name, sum := range in {
		if last[name] != sum {
			changed = append(changed, name)
		}
	}
	for name := range last {
		if _, ok := in[name]; !ok {
			changed = append(changed, name)
		}
	}
	if len(changed) == 0 {
		return ""
	}
	slices.Sort(changed)
	return strings.Join(changed, ", ") + " changed"
}
