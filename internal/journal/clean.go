package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"kiln"
)

// Cleaner destroys what dead runs left behind.
type Cleaner struct {
	Dir string
	// Reaper finds the component that made a resource of a build in a run, such as
	// builder.docker; "" is this machine. The error says why there is none.
	Reaper func(run, build, owner string) (kiln.Reaper, error)
	// Gone, Replaced, Beyond and Failed are called for each resource. Each may be nil.
	Gone     func(run string, r kiln.Resource)
	Replaced func(run string, r kiln.Resource) // another thing bears its name
	Beyond   func(run string, r kiln.Resource) // it is out of reach, see kiln.ErrOutOfReach
	Failed   func(run string, r kiln.Resource, err error)
}

// Clean destroys all that the given run, or every dead run for "", still owns,
// newest first. What cannot be destroyed stays in the journal and is an error.
// Runs that are alive are left alone.
func (c *Cleaner) Clean(ctx context.Context, only string) error {
	runs, err := Runs(c.Dir)
	errs := []error{err}
	found := only == ""
	for _, run := range runs {
		if only != "" && run.ID != only {
			continue
		}
		found = true
		if run.Live {
			if only != "" {
				errs = append(errs, fmt.Errorf("run %s is still running as process %d: %w", run.ID, run.PID,
					kiln.ErrConflict))
			}
			continue
		}
		errs = append(errs, c.cleanRun(ctx, run))
	}
	if !found {
		errs = append(errs, fmt.Errorf("run %s owns nothing: %w", only, kiln.ErrNotFound))
	}
	return errors.Join(errs...)
}

func (c *Cleaner) cleanRun(ctx context.Context, run Run) error {
	f, err := openMine(run.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if hold(f) != nil || !stillAt(f, run.path) {
		return nil // somebody else cleans it, or has
	}
	// More of it may have been cleaned between the reading and the lock.
	if run, err = replayFile(f, run); err != nil {
		return err
	}
	j := &Journal{file: f, run: run.ID, open: run.Open}
	var errs []error
	for i := len(run.Open) - 1; i >= 0; i-- {
		r := run.Open[i].Resource
		if r.Owner == "" && r.Kind == kiln.KindDir && elsewhere(run, r.ID) {
			errs = append(errs, c.failed(run.ID, r, errNotOurs))
			continue
		}
		errs = append(errs, c.reap(ctx, j, run.Open[i].Build, r))
	}
	for _, seen := range run.Seen {
		reaper, err := c.Reaper(run.ID, seen.Build, seen.Resource.Owner)
		if err != nil {
			errs = append(errs, fmt.Errorf("look for what run %s made: %w", run.ID, err))
			continue
		}
		more, err := reaper.Owned(ctx, run.ID, seen.Resource)
		if err != nil {
			errs = append(errs, fmt.Errorf("look for what run %s made: %w", run.ID, err))
		}
		for _, r := range more {
			errs = append(errs, c.reap(ctx, j, seen.Build, r))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	j.open = nil
	return j.Close()
}

// errNotOurs is that a folder is where no build makes folders.
var errNotOurs = errors.New("builds make no folders there: if it is to go, remove it by hand, and clean up again")

// elsewhere reports whether a folder is there and not in a folder for temporary ones.
func elsewhere(run Run, dir string) bool {
	if _, err := os.Lstat(dir); err != nil {
		return false
	}
	return !slices.Contains([]string{temp(), run.Temp}, filepath.Dir(dir))
}

func (c *Cleaner) failed(run string, r kiln.Resource, err error) error {
	if c.Failed != nil {
		c.Failed(run, r, err)
	}
	return &kiln.UndestroyedError{Resource: r, Err: err}
}

func replayFile(f *os.File, run Run) (Run, error) {
	again, err := replay(f)
	if err != nil {
		return run, fmt.Errorf("read journal %s: %w", run.path, err)
	}
	run.Open, run.Seen = again.Open, again.Seen
	return run, nil
}

// reapTimeout bounds the destruction of one resource, so that one that hangs does
// not keep the others.
const reapTimeout = 2 * time.Minute

func (c *Cleaner) reap(ctx context.Context, j *Journal, build string, r kiln.Resource) error {
	ctx, cancel := context.WithTimeout(ctx, reapTimeout)
	defer cancel()
	reaper, err := c.Reaper(j.run, build, r.Owner)
	if err == nil {
		err = reaper.Reap(ctx, r)
	}
	if errors.Is(err, kiln.ErrReplaced) {
		if c.Replaced != nil {
			c.Replaced(j.run, r)
		}
		return j.Gone(build, r)
	}
	if errors.Is(err, kiln.ErrOutOfReach) {
		if c.Beyond != nil {
			c.Beyond(j.run, r)
		}
		return j.Gone(build, r)
	}
	if err != nil {
		return c.failed(j.run, r, err)
	}
	if c.Gone != nil {
		c.Gone(j.run, r)
	}
	return j.Gone(build, r)
}
