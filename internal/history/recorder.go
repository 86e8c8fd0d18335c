package history

import (
	"slices"
	"time"

	"kiln"
)

// Recorder is a sink that fills in a record while a run goes on, and saves it at
// its beginning and its end.
type Recorder struct {
	store  Store
	record *Record
	builds map[string]*Build // by name, as events have it
	most   int               // runs that are kept
	last   time.Time         // of the newest event
}

// Resume completes the record of a run that did not save it at its end, by the run's
// events. The recorder saves nothing.
func Resume(r *Record) *Resumed {
	rec := &Recorder{record: r, builds: map[string]*Build{}}
	for _, b := range r.Builds {
		rec.builds[b.Name] = b
	}
	return &Resumed{rec}
}

// Resumed takes the events of a run from before.
type Resumed struct{ *Recorder }

// Close says how long the run went on, where it has no end.
func (r *Resumed) Close() error {
	if r.record.Result == "" && r.last.After(r.record.Time) {
		r.record.Seconds = r.last.Sub(r.record.Time).Seconds()
	}
	return nil
}

// NewRecorder saves a record that says what was asked for. At most n runs stay
// kept.
func NewRecorder(s Store, r *Record, n int) (*Recorder, error) {
	r.Version = Version
	rec := &Recorder{store: s, record: r, most: n, builds: map[string]*Build{}}
	for _, b := range r.Builds {
		rec.builds[b.Name] = b
	}
	return rec, s.Save(r)
}

// Event takes what the record has of an event.
func (r *Recorder) Event(e kiln.Event) {
	r.last = e.Time
	switch e.Kind {
	case kiln.EventRunStart:
		// Names in events may be masked, but they come in the record's order.
		for i, name := range e.Data[:min(len(e.Data), len(r.record.Builds))] {
			r.builds[name] = r.record.Builds[i]
		}
		return
	case kiln.EventRunEnd:
		r.record.Result, r.record.Seconds = string(e.Result), e.Seconds
		return
	}
	b := r.builds[e.Build]
	if b == nil {
		return
	}
	var step *Step
	if e.Step > 0 && e.Step <= len(b.Steps) && !e.OfCleanup() {
		step = b.Steps[e.Step-1]
	}
	switch e.Kind {
	case kiln.EventBuildEnd:
		b.Result, b.Error, b.Seconds = string(e.Result), e.Error, e.Seconds
	case kiln.EventArtifact:
		if e.Artifact != nil && e.Artifact.ID != "" && !slices.Contains(b.Artifacts, e.Artifact.ID) {
			b.Artifacts = append(b.Artifacts, e.Artifact.ID)
		}
	case kiln.EventStepEnd:
		if step != nil {
			step.Seconds, step.Error = step.Seconds+e.Seconds, e.Error
		}
	case kiln.EventLayer:
		if step != nil {
			step.Layer = e.Text
		}
	}
}

// Close saves the record.
func (r *Recorder) Close() error {
	if err := r.store.Save(r.record); err != nil {
		return err
	}
	return r.store.Trim(r.most)
}
