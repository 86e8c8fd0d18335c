//go:build !unix

package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"kiln"
)

// LockFolder waits until no other process has locked the folder, and locks it, by a
// file in it that exists meanwhile. A file that a crash left is taken over after a
// minute.
func LockFolder(ctx context.Context, dir string) (unlock func(), err error) {
	path := filepath.Join(dir, ".kiln-lock")
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			f.Close()
			return func() { os.Remove(path) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > time.Minute {
			os.Remove(path)
		}
		if err := kiln.Sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}
