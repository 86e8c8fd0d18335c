// Package history keeps what is worth knowing of every run: what was asked for,
// how each build ended, how long each step took.
package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kiln"
)

// Version is that of the record's form; it counts up when a key changes its
// meaning.
const Version = 1

// Record is one run.
type Record struct {
	Version  int       `json:"version"`
	Run      string    `json:"run"`
	Time     time.Time `json:"time"`
	Kiln     string    `json:"kiln"`
	Template string    `json:"template"` // absolute path
	Command  []string  `json:"command"`  // arguments, secrets masked
	Result   string    `json:"result"`   // success, failed, cancelled, killed; empty: it has not ended
	Seconds  float64   `json:"seconds"`
	Builds   []*Build  `json:"builds"`
}

// Build is one build of a run.
type Build struct {
	Name      string         `json:"name"`
	Result    string         `json:"result"` // as of the run; empty: it did not begin or did not end
	Error     string         `json:"error,omitempty"`
	Seconds   float64        `json:"seconds"`
	Artifacts []string       `json:"artifacts,omitempty"` // ids
	Type      string         `json:"type"`
	Settings  map[string]any `json:"settings"` // what is not known yet is an [Expression]
	Digests   Digests        `json:"digests,omitempty"`
	Steps     []*Step        `json:"steps"` // provisioners, then post-processors
}

// Expression is the one key of a setting that was not known when the run began: its
// value is the text that the template has there.
const Expression = "expression"

// Digests are keyed hashes of a component's options, by name: they differ where a
// secret does too.
type Digests map[string]string

// Step is a provisioner or post-processor of a build.
type Step struct {
	Component string            `json:"component"` // such as provisioner.shell
	Name      string            `json:"name,omitempty"`
	Settings  map[string]any    `json:"settings"`
	Digests   Digests           `json:"digests,omitempty"`
	Inputs    map[string]string `json:"inputs,omitempty"` // keyed hashes of what its effect depends on
	Layer     string            `json:"layer,omitempty"`  // hit, or the reason of a miss
	Error     string            `json:"error,omitempty"`
	Seconds   float64           `json:"seconds"`
}

// Store is the folder of all runs.
type Store struct {
	Dir string
	// Marshal encodes a record without its secrets; nil: there are none.
	Marshal func(any) ([]byte, error)
	// Needed reports whether a run is still needed, so that Trim leaves it; nil: none is.
	Needed func(run string) bool
}

const recordName = "run.json"

// Results of a run that has not ended by itself.
const (
	Running = "running"
	Killed  = "killed"
)

// EventsPath is the event file of a run.
func (s Store) EventsPath(run string) string { return filepath.Join(s.Dir, run, "events.jsonl") }

// Save replaces the record of a run: readers see the old one or the new, never a part.
func (s Store) Save(r *Record) error {
	dir := filepath.Join(s.Dir, r.Run)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep history: %w", err)
	}
	marshal := s.Marshal
	if marshal == nil {
		marshal = json.Marshal
	}
	text, err := marshal(r)
	if err != nil {
		return fmt.Errorf("keep history: %w", err)
	}
	if err := kiln.WriteFile(filepath.Join(dir, recordName), text, 0o600); err != nil {
		return fmt.Errorf("keep history: %w", err)
	}
	return nil
}

// Load reads the record of a run.
func (s Store) Load(run string) (*Record, error) {
	text, err := os.ReadFile(filepath.Join(s.Dir, run, recordName))
	if err != nil {
		return nil, err
	}
	var r Record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("record of run %s: %w", run, err)
	}
	return &r, nil
}

// Runs lists the names of all runs that have a record, the newest first: names
// begin with the time.
func (s Store) Runs() ([]string, error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(s.Dir, e.Name(), recordName)); err == nil {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, nil
}

// Find understands the name of a run: whole, a part that only one run has, "last",
// or -1, -2 and so on, counted from the newest.
func (s Store) Find(word string) (string, error) {
	runs, err := s.Runs()
	if err != nil {
		return "", err
	}
	if len(runs) == 0 {
		return "", errors.New("there are no runs yet")
	}
	if word == "last" {
		return runs[0], nil
	}
	var n int
	if _, err := fmt.Sscanf(word, "-%d", &n); err == nil && fmt.Sprintf("-%d", n) == word {
		if n < 1 || n > len(runs) {
			return "", fmt.Errorf("there are %d runs, so no run %s", len(runs), word)
		}
		return runs[n-1], nil
	}
	var fit []string
	for _, r := range runs {
		if r == word {
			return r, nil
		}
		if strings.Contains(r, word) {
			fit = append(fit, r)
		}
	}
	switch len(fit) {
	case 1:
		return fit[0], nil
	case 0:
		return "", fmt.Errorf("there is no run %q; the command history lists them", word)
	}
	return "", fmt.Errorf("%q fits %d runs: %s and others", word, len(fit), fit[0])
}

// Trim removes the oldest runs, so that at most n stay beside those that are needed.
func (s Store) Trim(n int) error {
	runs, err := s.Runs()
	if err != nil || len(runs) <= n {
		return err
	}
	var errs []error
	for _, r := range runs[n:] {
		if (s.Needed == nil || !s.Needed(r)) && !s.Live(r) {
			errs = append(errs, os.RemoveAll(filepath.Join(s.Dir, r)))
		}
	}
	return errors.Join(errs...)
}
