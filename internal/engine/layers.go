package engine

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"kiln"
)

// DefaultMaxAge is how old the effect of a step may be for a layer to stand for it,
// where nothing else is said.
const DefaultMaxAge = 24 * time.Hour

// Layers is the folder in which a home remembers its layers: which there are and when
// their steps ran, and what each build was last made from, so that a miss can be
// explained. The states themselves are where the builders keep them.
type Layers struct {
	*Hasher
	// MaxAge is how old the effect of a step may be; 0 or less: no layer is used.
	MaxAge time.Duration
	// All: a layer is kept after each step, even where that takes longer than the step.
	All bool
	// Checksum is lent to builders that are asked for layers, see [kiln.Build.Checksum].
	Checksum func(ctx context.Context, b *kiln.Build, r kiln.Remote) (string, error)

	dir  string
	home string // how this home's keys begin
	kept atomic.Bool
}

// Kept reports whether a layer was kept since the layers were opened.
func (l *Layers) Kept() bool { return l.kept.Load() }

// FromHere reports whether a layer was made by this home: the others on an engine belong
// to other users, and fit nothing here.
func (l *Layers) FromHere(key kiln.LayerKey) bool { return strings.HasPrefix(string(key), l.home) }

// homeDigits is how many hex digits of the home's ID begin each of its keys.
const homeDigits = 8

// OpenLayers opens the folder of layers, and makes it if needed.
func OpenLayers(dir string) (*Layers, error) {
	for _, name := range []string{"builds", "kept", "locks"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return nil, err
		}
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
	return newLayers(dir, key), nil
}

// ReadLayers opens the folder of layers to look into it, and makes nothing: where there is
// no key there are no layers, which any other key says as well.
func ReadLayers(dir string) (*Layers, error) {
	key, err := os.ReadFile(filepath.Join(dir, "key"))
	if errors.Is(err, os.ErrNotExist) {
		key, err = []byte(rand.Text()), nil
	}
	if err != nil {
		return nil, fmt.Errorf("key of the layers: %w", err)
	}
	return newLayers(dir, key), nil
}

func newLayers(dir string, key []byte) *Layers {
	l := &Layers{Hasher: NewHasher(key), MaxAge: DefaultMaxAge, dir: dir}
	l.home = l.Sum("home")[:homeDigits] + "-"
	return l
}

// writeNew makes a file with its whole content at once, or fails with
// os.ErrExist.
func writeNew(path string, data []byte) error {
	part, done, err := kiln.NewPart(nil, filepath.Dir(path), kiln.PartPrefix)
	if err != nil {
		return err
	}
	_, err = part.Write(data)
	if err = errors.Join(err, part.Close()); err == nil {
		err = os.Link(part.Name(), path)
	}
	return errors.Join(err, done())
}

// key is the layer key of the state after what parts say.
func (l *Layers) key(parts ...string) kiln.LayerKey {
	return kiln.LayerKey(l.home + l.Sum(parts...))
}

// A Record is what is known of one kept layer.
type Record struct {
	Key     kiln.LayerKey `json:"key"`
	Builder string        `json:"builder"`
	Run     string        `json:"run"`
	Build   string        `json:"build"`
	Created time.Time     `json:"created"`
	// Ran is when each of the steps ran whose effect it holds. Those that run always
	// have no time.
	Ran []time.Time `json:"ran"`
}

// Oldest is when the first of the steps ran that the layer holds.
func (r *Record) Oldest() time.Time {
	oldest := r.Created
	for _, t := range r.Ran {
		if !t.IsZero() && t.Before(oldest) {
			oldest = t
		}
	}
	return oldest
}

func (l *Layers) recordPath(key kiln.LayerKey) string {
	return filepath.Join(l.dir, "kept", string(key)+".json")
}

// lockPath is the file that builds lock which make a layer: one for each of 256 sets of
// keys.
func (l *Layers) lockPath(key kiln.LayerKey) string {
	return filepath.Join(l.dir, "locks", string(key)[homeDigits+1:homeDigits+3])
}

// Record reads what is known of a layer; nil: nothing, so that it cannot be used.
func (l *Layers) Record(key kiln.LayerKey) *Record {
	text, err := os.ReadFile(l.recordPath(key))
	var r Record
	if err != nil || json.Unmarshal(text, &r) != nil {
		return nil
	}
	return &r
}

// Records are all layers of which something is known.
func (l *Layers) Records() (map[kiln.LayerKey]*Record, error) {
	entries, err := os.ReadDir(filepath.Join(l.dir, "kept"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	all := map[kiln.LayerKey]*Record{}
	for _, e := range entries {
		if key, ok := strings.CutSuffix(e.Name(), ".json"); ok {
			if r := l.Record(kiln.LayerKey(key)); r != nil {
				all[r.Key] = r
			}
		}
	}
	return all, nil
}

func (l *Layers) write(r *Record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return kiln.WriteFile(l.recordPath(r.Key), text, 0o600)
}

// Forget forgets a layer that is no longer kept.
func (l *Layers) Forget(key kiln.LayerKey) error {
	err := os.Remove(l.recordPath(key))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// memory is what is remembered of a build's last run.
type memory struct {
	Identity string         `json:"identity"`
	Builder  Inputs         `json:"builder"`
	Steps    []Inputs       `json:"steps"`
	Kept     []bool         `json:"kept"` // whether a layer was kept after the step
	Artifact *kiln.Artifact `json:"artifact,omitempty"`
	// Captured is what the machine gave, and Made stands for all that it depends on.
	Captured *kiln.Artifact `json:"captured,omitempty"`
	Made     string         `json:"made,omitempty"`
	// Posts stands for what was done to it then; "": that is not known.
	Posts string `json:"posts,omitempty"`
	// Stood is all that was there in the end of what the run made.
	Stood []kiln.Resource `json:"stood,omitempty"`
}

func (l *Layers) memoryPath(w *work) string {
	dir, err := filepath.Abs(w.Dir)
	if err != nil {
		dir = w.Dir
	}
	return filepath.Join(l.dir, "builds", l.Sum(dir, w.job.Template.Key)[:32]+".json")
}

// recall reads what is remembered of a build's last run; nil: nothing.
func (l *Layers) recall(w *work) *memory {
	text, err := os.ReadFile(l.memoryPath(w))
	var last memory
	if err != nil || json.Unmarshal(text, &last) != nil {
		return nil
	}
	return &last
}

// remember keeps a memory. Not being able to costs only the reason of the next miss.
func (l *Layers) remember(w *work, m *memory) {
	text, err := json.Marshal(m)
	if err == nil {
		_ = kiln.WriteFile(l.memoryPath(w), text, 0o600)
	}
}
