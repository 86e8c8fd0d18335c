package kiln

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// An Artifact is what a build or a post-processor produced. It is data: it goes
// to the manifest, the screen and the event file as it is.
type Artifact struct {
	// Builder is the identifier of what made it, such as "packer.file", which
	// post-processors look at. The names are Packer's: docs/compat/builders-local.md.
	Builder string `json:"builder_id"`
	// ID names it to the outside world: an image id, or a word such as "File".
	ID string `json:"id"`
	// Text is the one line that is shown for it.
	Text string `json:"text"`
	// Files are the paths of local files that belong to it, as they are shown.
	Files []string `json:"files,omitempty"`
	// Resources are what must be destroyed with it. Those of its files that it made
	// itself are among them, marked; see [Artifact.Parts].
	Resources []Resource `json:"resources,omitempty"`
	// Tags are further names of the same image, newest last.
	Tags []string `json:"tags,omitempty"`
	// Labels are what a catalogue is to know of it: names and values of the maker's.
	Labels map[string]string `json:"labels,omitempty"`
	// Data is what the build generated (SourceImageDigest and the like), for
	// post-processors' templates. Absent where a post-processor made a new thing.
	Data map[string]any `json:"data,omitempty"`
}

// String is the line that is shown for the artifact.
func (a *Artifact) String() string {
	if a == nil {
		return "<nothing>"
	}
	if a.Text != "" {
		return a.Text
	}
	return strings.TrimSpace(a.Builder + " " + a.ID)
}

// Parts are all resources of the artifact: its Resources and those of its Files that
// are not among them.
func (a *Artifact) Parts() []Resource {
	parts := slices.Clone(a.Resources)
	for _, path := range a.Files {
		abs, err := filepath.Abs(path)
		if err != nil {
			abs = path
		}
		if file := (Resource{Kind: KindFile, ID: abs}); !slices.ContainsFunc(parts, file.Same) {
			parts = append(parts, file)
		}
	}
	return parts
}

// Holds reports whether r is part of the artifact.
func (a *Artifact) Holds(r Resource) bool {
	return a != nil && slices.ContainsFunc(a.Parts(), r.Same)
}

// Public is the artifact as it may be written down and shown: without the secrets of the
// way into the machine that it was made of.
func (a *Artifact) Public() *Artifact {
	if a == nil || a.Data == nil {
		return a
	}
	c := *a
	c.Data = maps.Clone(a.Data)
	for _, key := range secretKeys {
		delete(c.Data, key)
	}
	return &c
}
