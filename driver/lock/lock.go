// Package lock keeps processes apart: a lock goes with the process that holds it,
// whatever ends it.
package lock

import (
	"context"
	"os"
	"time"

	"kiln"
)

// File waits until no other process has locked the file at path, which is made if it
// does not exist, and locks it. The file stays: removing it would race.
func File(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return wait(ctx, f)
}

// wait locks an open file, and closes it where that fails.
func wait(ctx context.Context, f *os.File) (unlock func(), err error) {
	if err := Wait(ctx, f); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// Wait waits until no other process has locked an open file, and locks it for as long as
// it is open.
func Wait(ctx context.Context, f *os.File) error {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		ok, err := Try(f)
		if ok {
			return nil
		}
		if err == nil {
			err = kiln.Sleep(ctx, pause)
		}
		if err != nil {
			return err
		}
	}
}
