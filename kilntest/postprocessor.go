package kilntest

import (
	"context"
	"testing"

	"kiln"
)

// PostProcessorOptions says how a post-processor is tested. The suite makes a folder and
// works in it; temporary files go below it too.
type PostProcessorOptions struct {
	// New makes a configured post-processor, which has something to do and succeeds.
	New func() kiln.PostProcessor
	// In makes what is processed, anew each time; nil: an artifact with one file.
	In func() *kiln.Artifact
	// Slow makes one that takes longer than a test may; nil: there is none.
	Slow func() kiln.PostProcessor
	// Left lists what is there of the post-processor's making outside the folder; may be
	// nil.
	Left func() []string
	// Stays are patterns of files in the folder that may stay.
	Stays []string
	// Reaper finds who destroys what a component owns, beside this machine's files and
	// processes and what the post-processor itself destroys; may be nil.
	Reaper func(owner string) (kiln.Reaper, bool)
}

// inFile is the file of the artifact that is processed.
const inFile = "in.img"

// TestPostProcessor is the suite that every post-processor passes: what
// [TestProvisioner] checks, and what becomes of the artifact. It is not written to, what
// comes out exists, and one without data or files does no more than make it fail.
func TestPostProcessor(t *testing.T, o PostProcessorOptions) {
	if o.In == nil {
		o.In = func() *kiln.Artifact {
			if err := kiln.WriteFile(inFile, []byte("content of the image\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			return &kiln.Artifact{
				Builder: "test",
				ID:      "image",
				Files:   []string{inFile},
				Data:    map[string]any{"ID": "1"},
			}
		}
	}
	s := subject{
		new: func() any { return o.New() }, left: o.Left, stays: append(o.Stays, inFile),
		reaper: reapers(o.Reaper, func() any { return o.New() }),
	}
	in := o.In
	s.run = func(ctx context.Context, b *kiln.Build, _ *Recorder, component any) (*kiln.Artifact, error) {
		artifact := in()
		was := snapshot(artifact)
		out, err := component.(kiln.PostProcessor).Process(ctx, b, artifact)
		if is := snapshot(artifact); is != was {
			t.Errorf("the input was written to: it was\n%s\nand is\n%s", was, is)
		}
		return out, err
	}
	s.enter(t)
	s.test(t)
	in = func() *kiln.Artifact {
		a := o.In()
		a.Data = nil
		return a
	}
	s.whole(t)
	in = func() *kiln.Artifact { return &kiln.Artifact{Builder: o.In().Builder, ID: "none"} }
	s.poor(t)
	if o.Slow != nil {
		in = o.In
		s.new = func() any { return o.Slow() }
		s.slow(t)
	}
}

// poor runs the post-processor with an artifact that has nothing, which may fail.
func (s *subject) poor(t *testing.T) {
	t.Helper()
	const what = "an artifact without files"
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s: it panics: %v", what, p)
		}
	}()
	was := s.left()
	b, r := NewBuild(t)
	out, err := s.run(t.Context(), b, r, s.new())
	s.end(t, what, b, r, out, err, was)
}
