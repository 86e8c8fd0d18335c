//go:build unix

package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"kiln"
)

// lock waits until no other build of this home makes the layer.
func (l *Layers) lock(ctx context.Context, key kiln.LayerKey) (unlock func(), err error) {
	// A file for each of 256 sets of keys: it stays, as removing it would race.
	f, err := os.OpenFile(filepath.Join(l.dir, "locks", string(key)[homeDigits+1:homeDigits+3]), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = kiln.Sleep(ctx, pause)
		}
		if err != nil {
			f.Close()
			return nil, err
		}
	}
}
