package lock

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

func TestLocks(t *testing.T) {
	dir := t.TempDir()
	for name, take := range map[string]func(context.Context) (func(), error){
		"file":   func(ctx context.Context) (func(), error) { return File(ctx, filepath.Join(dir, "lock")) },
		"folder": func(ctx context.Context) (func(), error) { return Folder(ctx, dir) },
	} {
		unlock, err := take(t.Context())
		if err != nil {
			t.Fatal(name, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		if _, err := take(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: taken twice: %v", name, err)
		}
		cancel()
		second := make(chan error)
		go func() {
			unlock, err := take(t.Context())
			if err == nil {
				unlock()
			}
			second <- err
		}()
		unlock()
		if err := <-second; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
