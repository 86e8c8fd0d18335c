package kiln

import (
	"strings"
	"time"
)

// EventVersion is the version of the event schema, in every event file's first
// event. It changes when a field changes its meaning; fields may be added.
const EventVersion = 1

// EventKind tells what an event means. The names are part of the schema that
// docs/events.md describes.
type EventKind string

// Kinds of events, in the order in which a build meets them.
const (
	EventRunStart   EventKind = "run_start"   // Text: version; Data: builds
	EventBuildStart EventKind = "build_start" // Index: position among the builds
	EventPhase      EventKind = "phase"       // Text: start connect provision capture post-process cleanup
	EventStepStart  EventKind = "step_start"  // Component, Step, Text: title
	EventSay        EventKind = "say"         // Text: what is being done
	EventOut        EventKind = "out"         // Text: a line of a command's standard output
	EventErr        EventKind = "err"         // Text: a line of a command's standard error
	EventWarn       EventKind = "warn"        // Text
	EventError      EventKind = "error"       // Text: a failure, told once
	EventProgress   EventKind = "progress"    // Text: of what; Done, Total in bytes
	EventLayer      EventKind = "layer"       // Step, Text: "hit" or the reason of a miss
	EventStepEnd    EventKind = "step_end"    // Component, Step, Seconds, Error
	EventArtifact   EventKind = "artifact"    // Artifact, Index
	EventBuildEnd   EventKind = "build_end"   // Seconds, Error
	EventRunEnd     EventKind = "run_end"     // Seconds, Error
	EventLeft       EventKind = "left"        // Resource: made and not destroyed
	EventPrompt     EventKind = "prompt"      // Text: the question
)

// An Event is one thing that happened in a run. Sinks render it; none of them
// changes it. Secrets are masked before any sink sees it.
type Event struct {
	Version   int          `json:"version,omitempty"` // of the first event of a run
	Time      time.Time    `json:"time"`
	Run       string       `json:"run,omitempty"`
	Kind      EventKind    `json:"kind"`
	Build     string       `json:"build,omitempty"`     // full build name; empty: the run itself
	Component string       `json:"component,omitempty"` // such as "provisioner.shell"
	Step      int          `json:"step,omitempty"`      // number of the step in its build, from 1
	Index     int          `json:"index,omitempty"`
	Text      string       `json:"text,omitempty"`
	Error     string       `json:"error,omitempty"`
	Seconds   float64      `json:"seconds,omitempty"`
	Done      int64        `json:"done,omitempty"`
	Total     int64        `json:"total,omitempty"` // 0: not known
	Data      []string     `json:"data,omitempty"`
	Artifact  *Artifact    `json:"artifact,omitempty"`
	Resource  *Resource    `json:"resource,omitempty"`
	Result    BuildOutcome `json:"result,omitempty"`
}

// OfCleanup reports whether an event is of the error-cleanup-provisioner, which has the
// number of the step behind the provisioners, as the first post-processor has.
func (e Event) OfCleanup() bool { return strings.HasPrefix(e.Component, "error-cleanup-provisioner.") }

// BuildOutcome is how a build ended.
type BuildOutcome string

// Outcomes of a build.
const (
	OutcomeSuccess   BuildOutcome = "success"
	OutcomeFailed    BuildOutcome = "failed"
	OutcomeCancelled BuildOutcome = "cancelled"
)
