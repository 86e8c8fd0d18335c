package engine

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync/atomic"

	"kiln"
	"kiln/schema"
)

// Layers computes layer keys and remembers what the last ones were made from, so
// that a miss can be explained. Every hash is keyed with a secret of this machine,
// so that no secret of a template can be guessed from one.
type Layers struct {
	dir  string
	key  []byte
	kept atomic.Bool
}

// Kept tells whether a layer was kept since the layers were opened.
func (l *Layers) Kept() bool { return l.kept.Load() }

// homeLength is how much of a home's mark is in each of its keys.
const homeLength = 8

// Own tells whether a layer was made with this machine key: the others on an engine
// belong to other users, and fit nothing here.
func (l *Layers) Own(key kiln.LayerKey) bool { return strings.HasPrefix(string(key), l.home()) }

func (l *Layers) home() string { return l.hash("home")[:homeLength] + "-" }

// Inputs is what a step's effect depends on: name to hash.
type Inputs map[string]string

// memory is what is remembered of a build's last run.
type memory struct {
	Identity string         `json:"identity"`
	Steps    []Inputs       `json:"steps"`
	Artifact *kiln.Artifact `json:"artifact,omitempty"`
}

// OpenLayers opens the folder of layer keys, and makes it if needed.
func OpenLayers(dir string) (*Layers, error) {
	if err := os.MkdirAll(filepath.Join(dir, "builds"), 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "key")
	key, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		key = []byte(rand.Text())
		err = writeNew(path, key)
		if errors.Is(err, os.ErrExist) { // another run was first
			key, err = os.ReadFile(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("key of the layers: %w", err)
	}
	return &Layers{dir: dir, key: key}, nil
}

// writeNew makes a file with its whole content at once, or fails with
// os.ErrExist.
func writeNew(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Link(tmp.Name(), path)
}

func (l *Layers) hash(parts ...string) string {
	h := hmac.New(sha256.New, l.key)
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// inputs lists what a provisioner's effect depends on: its type, every field, and
// the content of every file that it names.
func (l *Layers) inputs(kind string, component any) (Inputs, error) {
	in := Inputs{"type": l.hash(kind)}
	for _, v := range schema.Values(component) {
		in[v.Field.Name] = l.hash(v.Text)
		if !v.Field.File {
			continue
		}
		for _, path := range v.Strings {
			sum, err := l.tree(path)
			if err != nil {
				return nil, err
			}
			in["file "+path] = sum
		}
	}
	return in, nil
}

// tree hashes a file or folder with names, modes, links and content. That it does
// not exist is a state too: the step itself will say so.
func (l *Layers) tree(root string) (string, error) {
	h := hmac.New(sha256.New, l.key)
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			fmt.Fprintf(h, "absent %q\n", path)
			return nil
		}
		if err != nil {
			return err
		}
		return hashFile(h, root, path)
	})
	if err != nil {
		return "", fmt.Errorf("look at %s: %w", root, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// compute fills in the inputs of every step and the keys that follow from the
// start state's identity. Keys end at a step whose effect is not to be kept.
func (w *work) compute(identity string) ([]kiln.LayerKey, error) {
	home := w.Layers.home()
	key := kiln.LayerKey(home + w.Layers.hash("start", identity))
	keys := []kiln.LayerKey{key}
	w.job.Steps = nil
	for _, p := range w.job.Template.Provisioners {
		component, diags := p.Decode(nil)
		if err := diagError(diags); err != nil {
			return nil, err
		}
		in := Inputs{}
		if !volatile(component) {
			var err error
			if in, err = w.Layers.inputs(p.Type, component); err != nil {
				return nil, err
			}
		}
		w.job.Steps = append(w.job.Steps, in)
		if p.NoCache {
			break
		}
		if len(in) > 0 {
			key = kiln.LayerKey(home + w.Layers.hash(append([]string{string(key)}, in.list()...)...))
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func (in Inputs) list() []string {
	var all []string
	for name, sum := range in {
		all = append(all, name+"="+sum)
	}
	sort.Strings(all)
	return all
}

// layerKeys is the host's answer to Build.Layers.
func (w *work) layerKeys(b *kiln.Build, identity string) []kiln.LayerKey {
	keys, err := w.compute(identity)
	if err != nil {
		b.Warn("Layers are not used: %v", err)
		keys = nil
	}
	w.keys, w.identity = keys, identity
	return keys
}

// changedAfter computes the keys again after a local step, which may have made or
// changed the inputs of later steps. It tells whether the layer that the machine
// was started from is out of date by that.
func (w *work) changedAfter(i, resumed int) bool {
	if w.keys == nil {
		return false
	}
	before := w.keys
	after, err := w.compute(w.identity)
	if err != nil {
		w.b.Warn("Layers are not kept: %v", err)
		w.keys = nil
		return i+1 < resumed
	}
	w.keys = after
	return i+1 < resumed && (resumed >= len(after) || after[resumed] != before[resumed])
}

func (l *Layers) path(w *work) string {
	dir, err := filepath.Abs(w.Dir)
	if err != nil {
		dir = w.Dir
	}
	return filepath.Join(l.dir, "builds", l.hash(dir, w.job.Template.Name)[:32]+".json")
}

// reason says why step i has no layer to start from.
func (l *Layers) reason(w *work, i int) string {
	if i < len(w.job.Template.Provisioners) && w.job.Template.Provisioners[i].NoCache {
		return "cache = false"
	}
	last := l.recall(w)
	if last == nil {
		return "first build of it here"
	}
	if last.Identity != l.hash("start", w.identity) {
		return "the source image or the machine's settings changed"
	}
	if i >= len(last.Steps) {
		return "new step"
	}
	if i < len(w.job.Steps) {
		if diff := w.job.Steps[i].diff(last.Steps[i]); diff != "" {
			return diff
		}
	}
	for n := 0; n < i; n++ {
		if diff := w.job.Steps[n].diff(last.Steps[n]); diff != "" {
			return fmt.Sprintf("step %d: %s", n+1, diff)
		}
	}
	return "its layer is no longer kept"
}

// diff names the inputs that differ.
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
	sort.Strings(changed)
	return strings.Join(changed, ", ") + " changed"
}

// remember keeps the inputs of this run. Not being able to costs only the reason
// of the next miss.
func (l *Layers) remember(w *work) {
	l.save(w, &memory{Identity: l.hash("start", w.identity), Steps: w.job.Steps})
}
