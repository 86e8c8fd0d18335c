package history

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"kiln"
	"kiln/driver/lock"
)

// lockName is a file that a run holds locked while it goes on.
const lockName = "lock"

// Hold marks a run as one that goes on, until this process ends or release is called.
func (s Store) Hold(ctx context.Context, run string) (release func(), err error) {
	dir := filepath.Join(s.Dir, run)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("keep history: %w", err)
	}
	unlock, err := lock.File(ctx, filepath.Join(dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("keep history: %w", err)
	}
	return unlock, nil
}

// Live reports whether a run goes on.
func (s Store) Live(run string) bool {
	f, err := os.OpenFile(filepath.Join(s.Dir, run, lockName), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	// Another reader has it for a moment only.
	for pause := time.Millisecond; pause < 50*time.Millisecond; pause *= 2 {
		if ok, err := lock.Try(f); ok || err != nil {
			return false
		}
		_ = kiln.Sleep(context.Background(), pause)
	}
	return true
}

// Read is the record of a run as far as it has come. What a run did not come to save
// is taken from its events: replay feeds a sink with those.
func (s Store) Read(run string, replay func(*Resumed) error) (*Record, error) {
	r, err := s.Load(run)
	if err != nil || r.Result != "" {
		return r, err
	}
	// It may have ended since, and then has saved its record before it let go.
	live := s.Live(run)
	if r, err = s.Load(run); err != nil || r.Result != "" {
		return r, err
	}
	// The event file may be lost, as on a full disk: then there is no more to say.
	_ = replay(Resume(r))
	switch {
	case r.Result != "":
	case live:
		r.Result = Running
		r.Seconds = time.Since(r.Time).Seconds()
	default:
		r.Result = Killed
		// For the next reader, who does not need it.
		_ = s.Save(r)
	}
	return r, nil
}
