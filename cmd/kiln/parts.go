package main

import (
	"os"
	"path/filepath"

	"kiln"
	"kiln/internal/home"
	"kiln/internal/journal"
)

// partJournal owns the files that a command without a run is writing, so that
// `kiln cleanup` removes what a kill leaves of them. Where no journal can be kept, as in a
// container whose home cannot be written, the files are written all the same.
type partJournal struct {
	journal *journal.Journal // nil: none can be kept
	fresh   []string         // folders that were not there before, the inner one first
}

// owning begins one for a command on a file or template; close ends it.
func (p *program) owning(path string) *partJournal {
	dir, err := home.Open()
	if err != nil {
		return &partJournal{}
	}
	journals := filepath.Join(dir, "journal")
	j := &partJournal{journal: journal.New(journals, runID(p.start), path)}
	for _, d := range []string{journals, dir} {
		if _, err := os.Stat(d); os.IsNotExist(err) {
			j.fresh = append(j.fresh, d)
		}
	}
	return j
}

// Own is for [kiln.WriteOwned].
func (j *partJournal) Own(build string, r kiln.Resource) error {
	if j.journal != nil && j.journal.Own(build, r) != nil {
		j.journal = nil
	}
	return nil
}

// Gone strikes off what is no part any more.
func (j *partJournal) Gone(build string, r kiln.Resource) error {
	if j.journal == nil {
		return nil
	}
	return j.journal.Gone(build, r)
}

// Release has nothing to do: what a command wrote is the user's, and was never owned.
func (j *partJournal) Release(string, ...kiln.Resource) error { return nil }

// close ends the journal, and leaves no folder for it that was not there before.
func (j *partJournal) close(p *program) {
	if j.journal == nil {
		return
	}
	if err := j.journal.Close(); err != nil {
		p.warn(err)
	}
	for _, dir := range j.fresh {
		_ = os.Remove(dir) // others may use it by now
	}
}
