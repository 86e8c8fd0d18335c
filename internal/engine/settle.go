package engine

import (
	"slices"
	"sync"

	"kiln"
)

// Journal is the record of a run.
type Journal interface {
	kiln.Journal
	// ReleaseAll releases several resources as one.
	ReleaseAll(build string, all []kiln.Resource) error
}

// holding is a journal that holds releases back until the build has ended: until
// then even a finished image would be lost to a crash, so it must stay written
// down as owned.
type holding struct {
	Journal
	mu   sync.Mutex
	held []kiln.Resource
}

// Release holds r.
func (h *holding) Release(_ string, r kiln.Resource) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = append(h.held, r)
	return nil
}

// Gone strikes r off, also from what is held.
func (h *holding) Gone(build string, r kiln.Resource) error {
	h.mu.Lock()
	for i, o := range h.held {
		if o.Owner == r.Owner && o.Kind == r.Kind && o.ID == r.ID {
			h.held = append(h.held[:i:i], h.held[i+1:]...)
			break
		}
	}
	h.mu.Unlock()
	return h.Journal.Gone(build, r)
}

// settle decides about everything that was released: layers stay whatever became
// of the build, and so do artifacts that are kept. The rest stays with a build
// that succeeded and is destroyed with one that failed.
func (w *work) settle(ok bool, kept []*kiln.Artifact) error {
	ctx, cancel := w.closing()
	defer cancel()
	clean := w.cleans()
	if clean || ok {
		// What post-processors own and did not release goes now.
		err := w.b.Close(ctx)
		w.left = append(w.left, kiln.Undestroyed(err)...)
		if err != nil {
			w.b.Error("clean up: %v", err)
		}
	}
	w.journal.mu.Lock()
	held := append([]kiln.Resource(nil), w.journal.held...)
	w.journal.mu.Unlock()
	var stay []kiln.Resource
	for i := len(held) - 1; i >= 0; i-- {
		r := held[i]
		switch {
		case ok || r.Kind == KindLayer || belongs(r, kept):
			stay = append(stay, r)
		case !clean:
			w.left = append(w.left, r)
		default:
			if err := w.reap(ctx, r); err != nil {
				w.left = append(w.left, kiln.Undestroyed(err)...)
				w.b.Error("clean up: %v", err)
			}
		}
	}
	// At once, so that a crash meets a build that is finished or one that is not.
	return w.journal.Journal.ReleaseAll(w.b.Name, stay)
}

// belongs tells whether r is part of one of the artifacts.
func belongs(r kiln.Resource, artifacts []*kiln.Artifact) bool {
	for _, a := range artifacts {
		if r.Owner == "" && slices.Contains(a.Files, r.ID) {
			return true
		}
		if slices.ContainsFunc(a.Resources, func(o kiln.Resource) bool { return o.Owner == r.Owner && o.Kind == r.Kind && o.ID == r.ID }) {
			return true
		}
	}
	return false
}

// KindLayer is the kind of every resource that is a kept layer.
const KindLayer = "layer"
