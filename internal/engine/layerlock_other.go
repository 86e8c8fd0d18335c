//go:build !unix

package engine

import (
	"context"
	"sync"

	"kiln"
)

var layerLocks sync.Map // LayerKey -> chan struct{}

// lock waits until no other build of this process makes the layer. Between processes
// the later one makes it again, which costs time only.
func (l *Layers) lock(ctx context.Context, key kiln.LayerKey) (unlock func(), err error) {
	ch, _ := layerLocks.LoadOrStore(key, make(chan struct{}, 1))
	gate := ch.(chan struct{})
	select {
	case gate <- struct{}{}:
		return func() { <-gate }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
