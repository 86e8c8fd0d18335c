package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"kiln"
	"kiln/internal/engine"
	"kiln/internal/home"
)

// storedLayer is a layer with the builder that keeps it.
type storedLayer struct {
	kiln.Layer
	builder string
	store   kiln.LayerStore
	record  *engine.Record // nil: nothing is known of it here, so that it is never used
}

// layers lists what every builder keeps for this home, or for everyone, oldest
// first. A builder whose engine does not answer is an error next to the layers of
// the others.
func (p *program) layers(ctx context.Context, f *cacheFlags) (*engine.Layers, []storedLayer, error) {
	dir, err := home.Open()
	if err != nil {
		return nil, nil, err
	}
	mine, err := engine.ReadLayers(filepath.Join(dir, "layers"))
	if err != nil {
		return nil, nil, err
	}
	records, err := mine.Records()
	if err != nil {
		return nil, nil, err
	}
	find := newReapers(ctx, p, dir, f.vars, f.varFiles)
	var all []storedLayer
	var errs []error
	seen := map[kiln.LayerKey]bool{}
	for name, newBuilder := range components().Builders {
		stores, err := find.stores(name, newBuilder(), records)
		errs = append(errs, err)
		for _, store := range stores {
			kept, err := store.KeptLayers(ctx)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
			for _, l := range kept {
				if seen[l.Key] || !f.everyone && !mine.FromHere(l.Key) {
					continue
				}
				seen[l.Key] = true
				stored := storedLayer{l, name, store, records[l.Key]}
				if stored.record != nil {
					stored.Created = stored.record.Created // the engine's may be rounded
				}
				all = append(all, stored)
			}
		}
	}
	slices.SortFunc(all, func(a, b storedLayer) int { return a.Created.Compare(b.Created) })
	return mine, all, errors.Join(errs...)
}

// stores are where a builder keeps layers: one place for a builder that needs no
// configuration for that; else, for each build that kept some, what it had configured.
func (r *reapers) stores(
	name string,
	builder kiln.Builder,
	records map[kiln.LayerKey]*engine.Record,
) ([]kiln.LayerStore, error) {
	store, ok := builder.(kiln.LayerStore)
	if !ok {
		return nil, nil
	}
	if kiln.TraitsOf(builder).ReapsAlone {
		return []kiln.LayerStore{store}, nil
	}
	type place struct{ run, build string }
	found := map[place]bool{}
	var stores []kiln.LayerStore
	var errs []error
	for _, record := range records {
		at := place{record.Run, record.Build}
		if record.Builder != name || found[at] {
			continue
		}
		found[at] = true
		configured, err := r.reaper(record.Run, record.Build, "builder."+name)
		if store, ok := configured.(kiln.LayerStore); err == nil && ok {
			stores = append(stores, store)
		}
		errs = append(errs, err)
	}
	return stores, errors.Join(errs...)
}
