package history

import (
	"slices"

	"kiln"
)

// Recorder is a sink that fills in a record while a run goes on, and saves it at
// its beginning and its end.
type Recorder struct {
	store  Store
	record *Record
	builds map[string]*Build // by name, as events have it
	most   int               // runs that are kept
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
	if e.Step > 0 && e.Step <= len(b.Steps) {
		step = b.Steps[e.Step-1]
	}
	switch e.Kind {
	case kiln.EventBuildEnd:
		b.Result, b.Error, b.Seconds = string(e.Result), e.Error, e.Seconds
	case kiln.EventArtifact:
		if e.Artifact != nil && !slices.Contains(b.Artifacts, e.Artifact.ID) {
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
