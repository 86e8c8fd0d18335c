// Package kilntest has the conformance suites of the vocabulary's interfaces, and
// the small real things that tests of components need: a build that records, an
// SSH server, a container image, a relay that delays.
package kilntest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"kiln/internal/download"
	"kiln/internal/journal"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/template"

	"kiln"
)

// Recorder keeps what a build did. What is owned goes through the ledger and into a
// journal of the program's own, in a folder of the test.
type Recorder struct {
	mu      sync.Mutex
	events  []kiln.Event
	journal *journal.Journal
	dir     string // of the journal
	owns    int
	// OnOwn is called after each Own was recorded, with its number from 1. An
	// error is Own's.
	OnOwn func(n int, r kiln.Resource) error
	Keys  []kiln.LayerKey // given to whoever asks for layers
	// Ask answers the build's questions; nil: nobody can be asked.
	Ask func(ctx context.Context, build, question string) (string, error)

	moments  []moment
	onMoment func(n int, m moment) error
}

// NewBuild makes a build that records its events and what it owns.
func NewBuild(t testing.TB) (*kiln.Build, *Recorder) {
	r := &Recorder{}
	return r.Build(t), r
}

// Build makes another build with the same recorder, as a run of its own.
func (r *Recorder) Build(t testing.TB) *kiln.Build {
	run := "test" + kiln.RandomName(8)
	r.dir = t.TempDir()
	r.journal = journal.New(r.dir, run, "test")
	store := download.New(t.TempDir(), t.TempDir())
	host := kiln.Host{
		Emit:    r.emit,
		Journal: r,
		Hide:    func(string) {},
		Render:  render,
		Fetch:   store.Fetch, Checksum: store.Checksum,
	}
	host.Ask = func(ctx context.Context, build, question string) (string, error) {
		if r.Ask == nil {
			return "", kiln.ErrNoPrompt
		}
		return r.Ask(ctx, build, question)
	}
	if r.Keys != nil {
		host.Layers = func(*kiln.Build, string) []kiln.LayerKey { return r.Keys }
	}
	return kiln.NewBuild(kiln.Build{
		Run: run, Name: "test", Source: "test", Type: "test", Component: "test", Dir: t.TempDir(), OnError: "cleanup",
		Home: t.TempDir(),
	}, host)
}

func render(b *kiln.Build, text string, vars map[string]any) (string, error) {
	data := b.Data()
	maps.Copy(data, vars)
	tmpl, err := template.New("").Parse(text)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = tmpl.Execute(&out, data)
	return out.String(), err
}

func (r *Recorder) emit(e kiln.Event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
	_ = r.pass(momentEvent) // an event cannot be refused
}

// Own records a resource.
func (r *Recorder) Own(build string, res kiln.Resource) error {
	if err := r.pass(momentOwn); err != nil {
		return err
	}
	if err := r.journal.Own(build, res); err != nil {
		return err
	}
	r.mu.Lock()
	r.owns++
	n, on := r.owns, r.OnOwn
	r.mu.Unlock()
	if on != nil {
		return on(n, res)
	}
	return r.pass(momentOwned)
}

// Gone strikes a resource off.
func (r *Recorder) Gone(build string, res kiln.Resource) error { return r.journal.Gone(build, res) }

// Release strikes resources off.
func (r *Recorder) Release(build string, all ...kiln.Resource) error {
	return r.journal.Release(build, all...)
}

// Balance lists what the journal names, oldest first.
func (r *Recorder) Balance() []kiln.Resource {
	var open []kiln.Resource
	for _, e := range r.journal.Open() {
		open = append(open, e.Resource)
	}
	return open
}

// Owns is how often something was owned.
func (r *Recorder) Owns() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owns
}

// Events lists all events.
func (r *Recorder) Events() []kiln.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// Texts lists the texts of the events of some kinds.
func (r *Recorder) Texts(kinds ...kiln.EventKind) []string {
	var out []string
	for _, e := range r.Events() {
		if slices.Contains(kinds, e.Kind) {
			out = append(out, e.Text)
		}
	}
	return out
}

// Text writes a file's content, for [kiln.Build.WriteFile].
func Text(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

// Require skips a test where something is missing on the machine, loudly, or fails it
// where KILN_TEST_REQUIRE (a comma list) names what is missing.
func Require(t testing.TB, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if slices.Contains(strings.Split(os.Getenv("KILN_TEST_REQUIRE"), ","), what) {
		t.Fatalf("%s is required (KILN_TEST_REQUIRE) and not usable: %v", what, err)
	}
	t.Skipf("SKIPPED, NOT TESTED: %s is not usable here: %v", what, err)
}

// Output runs a command on a machine and returns what it printed.
func Output(ctx context.Context, c kiln.Communicator, command string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	err = c.Run(ctx, &kiln.Cmd{Command: command, Stdout: &out, Stderr: &errs})
	return out.String(), errs.String(), err
}

// Code is the exit code within an error of Run; -1 where there is none.
func Code(err error) int {
	if err == nil {
		return 0
	}
	var exit *kiln.ExitError
	if errors.As(err, &exit) {
		return exit.Code
	}
	return -1
}
