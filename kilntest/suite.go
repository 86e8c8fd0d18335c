package kilntest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kiln"
)

// A subject is what the suites of provisioners and post-processors run: a component
// that does its work within a build.
type subject struct {
	new    func() any
	run    func(ctx context.Context, b *kiln.Build, r *Recorder, component any) (*kiln.Artifact, error)
	left   func() []string
	stays  []string // patterns of files that may stay
	reaper func(owner string) (kiln.Reaper, bool)
}

// maxMoments bounds at how many moments a component is stopped.
const maxMoments = 40

// enter makes a folder and works in it from now on. What is left is looked for there too.
func (s *subject) enter(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	temporary := filepath.Join(dir, "tmp")
	if err := os.Mkdir(temporary, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", temporary)
	outside := s.left
	s.left = func() []string {
		left := files(t, dir, s.stays)
		if outside != nil {
			left = append(left, outside()...)
		}
		return left
	}
}

// test runs the component to its end, and then again and again, cancelled and crashed at
// each moment of the whole run.
func (s *subject) test(t *testing.T) {
	testConfiguration(t, s.new, s.left)
	moments := s.whole(t)
	s.cancelled(t, 0)
	for n := 1; n <= min(len(moments), maxMoments); n++ {
		s.cancelled(t, n)
		if moments[n-1] != momentEvent {
			s.crashed(t, n)
		}
	}
}

// answer is a person who presses enter at once.
func answer(ctx context.Context, _, _ string) (string, error) { return "", ctx.Err() }

// silent is a person who went away.
func silent(ctx context.Context, _, _ string) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

// files lists what is in a folder but for what fits a pattern.
func files(t testing.TB, dir string, but []string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == dir {
			return nil
		}
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		for _, pattern := range but {
			if ok, _ := filepath.Match(pattern, name); ok {
				return nil
			}
		}
		info, err := d.Info()
		if err == nil {
			all = append(all, fmt.Sprintf("%s %s %d", name, info.Mode(), info.Size()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// whole runs the component to its end and returns the moments that it went through.
func (s *subject) whole(t *testing.T) []moment {
	t.Helper()
	before, running := s.left(), goroutines()
	b, r := NewBuild(t)
	r.Ask = answer
	component := s.new()
	config, secrets := snapshot(component), secretsOf(component)
	artifact, err := s.run(t.Context(), b, r, component)
	if err != nil {
		t.Fatalf("a whole run: %v", err)
	}
	moments := r.passed()
	if after := snapshot(component); after != config {
		t.Errorf("the component was written to while it ran: it was\n%s\nand is\n%s", config, after)
	}
	told := fmt.Sprint(r.Events(), r.Balance(), artifact)
	for _, secret := range secrets {
		if strings.Contains(told, secret) {
			t.Errorf("the value of a sensitive option is told to everybody: %q", secret)
		}
	}
	s.end(t, "a whole run", b, r, artifact, nil, before)
	noMore(t, running)
	return moments
}

// end ends a build as the engine does, has the artifact destroyed, and looks at what is
// left. Of a build that succeeded all stays that was released.
func (s *subject) end(
	t *testing.T,
	what string,
	b *kiln.Build,
	r *Recorder,
	artifact *kiln.Artifact,
	failed error,
	before []string,
) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	stays := func(kiln.Resource) bool { return failed == nil }
	if err := errors.Join(b.Close(ctx), b.Settle(ctx, stays)); err != nil {
		t.Errorf("%s: end the build: %v", what, err)
	}
	if artifact != nil && failed == nil {
		for _, path := range artifact.Files {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: the artifact lists %s, which does not exist", what, path)
			}
		}
		destroy(t, artifact, s.reaper)
	}
	if open := r.Balance(); len(open) != 0 {
		t.Errorf("%s: the journal still has %v", what, open)
	}
	s.compare(t, what, before)
}

func (s *subject) compare(t *testing.T, what string, before []string) {
	t.Helper()
	if left := s.left(); !slices.Equal(left, before) {
		t.Errorf("%s: there is\n%s\nand was\n%s", what, strings.Join(left, "\n"), strings.Join(before, "\n"))
	}
}

// patience is how long the suites wait for what has to come at once, such as the end of a
// cancelled component. A machine that is slow and busy may take some of it; who does not
// listen to the context takes more.
var patience = 30 * time.Second

// cancelled runs the component and cancels it at its n-th moment; 0: before it begins.
func (s *subject) cancelled(t *testing.T, n int) {
	t.Helper()
	what := fmt.Sprintf("cancelled at moment %d", n)
	before := s.left()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b, r := NewBuild(t)
	r.Ask = answer
	at := make(chan time.Time, 1)
	stop := func() {
		at <- time.Now()
		cancel()
	}
	if n == 0 {
		stop()
	}
	r.onMoment = func(now int, m moment) error {
		if now == n {
			what += " (" + m.String() + ")"
			stop()
		}
		return nil
	}
	artifact, err := s.run(ctx, b, r, s.new())
	if ctx.Err() == nil {
		n = -1 // it had fewer moments this time
	} else if took := time.Since(<-at); took > patience {
		t.Errorf("%s: it ended after %s", what, took.Round(time.Millisecond))
	}
	if (err != nil || n == 0) && !errors.Is(err, context.Canceled) {
		t.Errorf("%s: the error is %v, not the context's", what, err)
	}
	s.end(t, what, b, r, artifact, err, before)
}

// crashed runs the component and ends it at its n-th moment as a crash does: nothing is
// cleaned up in its process.
func (s *subject) crashed(t *testing.T, n int) {
	t.Helper()
	what := fmt.Sprintf("crashed at moment %d", n)
	before := s.left()
	b, r := NewBuild(t)
	r.Ask = answer
	r.onMoment = func(now int, m moment) error {
		if now < n || m == momentEvent {
			return nil
		}
		return errCrash
	}
	artifact, err := s.run(t.Context(), b, r, s.new())
	if err == nil {
		s.end(t, what, b, r, artifact, nil, before)
		return
	}
	r.clean(t, s.reaper)
	s.compare(t, what, before)
}
