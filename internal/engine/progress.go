package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"kiln"
)

// progress is how far a build came in a run: what the next run needs to go on there.
type progress struct {
	Run      string   `json:"run"`
	Identity string   `json:"identity,omitempty"`
	Builder  Inputs   `json:"builder,omitempty"`
	Steps    []Inputs `json:"steps,omitempty"` // that have a key
	Kept     []bool   `json:"kept,omitempty"`  // whether a layer was kept after the step
	Phase    string   `json:"phase,omitempty"` // in which it failed
	Failed   int      `json:"failed,omitempty"`
	Title    string   `json:"title,omitempty"` // of the step that failed
	End      string   `json:"end,omitempty"`   // why the keys end before the last step
	Cut      int      `json:"cut,omitempty"`   // step from which on nothing was kept
}

// progress is that of a build that ended well.
func (m *memory) progress() *progress {
	return &progress{Identity: m.Identity, Builder: m.Builder, Steps: m.Steps, Kept: m.Kept}
}

// resumption is how a build goes on from where an earlier run of it ended.
type resumption struct {
	progress
	last   string // that run
	undone bool   // it failed, or did not end
}

// errNothingKept is that there is no layer to go on from.
func (p *progress) nothingKept() error {
	switch {
	case p.Failed == 1:
		return errors.New("it failed in its first step, and layers are kept after steps")
	case p.Cut > 0:
		return fmt.Errorf("no layer was kept of it from step %d on; what that run said tells why", p.Cut)
	case p.End != "":
		return fmt.Errorf("no layer was kept of it: %s", p.End)
	case p.Steps == nil:
		return errors.New("nothing is kept of it")
	}
	return errors.New("no layer was kept of it: its steps took less time than that would have " +
		"(KILN_CACHE=all keeps one after each step)")
}

// deepest is the number of steps that the last kept layer stands for.
func (p *progress) deepest() int {
	for n, kept := range slices.Backward(p.Kept) {
		if kept {
			return n + 1
		}
	}
	return 0
}

// changed names what the machine or its first steps depend on and is not as it was; "":
// nothing.
func (p *progress) changed(c *chain, steps int) string {
	if diff := c.builder.diff(p.Builder); diff != "" {
		return "the machine's settings changed: " + diff
	}
	if c.identity != p.Identity {
		return "the source image changed"
	}
	for i := range min(steps, len(p.Steps)) {
		if i >= len(c.inputs) {
			return fmt.Sprintf("step %d: %s", i+1, c.end)
		}
		if diff := c.inputs[i].diff(p.Steps[i]); diff != "" {
			return fmt.Sprintf("step %d: %s", i+1, diff)
		}
	}
	return ""
}

// missed says why step i, which depends on in now, runs again.
func (p *progress) missed(i int, in Inputs) string {
	switch diff := in.diff(p.Steps[i]); {
	case diff != "":
		return diff
	case p.Failed == i+1:
		return "it failed"
	}
	return "no layer was kept after it"
}

// story says how the earlier run ended, for people.
func (r *resumption) story() string {
	switch {
	case !r.undone:
		return "it succeeded in run " + r.last
	case r.Failed > 0:
		return fmt.Sprintf("run %s failed in step %d (%s)", r.last, r.Failed, r.Title)
	case r.Phase != "":
		return fmt.Sprintf("run %s failed in phase %s", r.last, r.Phase)
	}
	return fmt.Sprintf("run %s did not end", r.last)
}

// resumable looks for the layer from which a build can go on, and makes nothing. What can
// be known only while it runs is not looked at, nor is the layer where that is not known
// which the machine starts from.
func (w *work) resumable(ctx context.Context, known bool) error {
	r := w.job.resumed
	component, diags := w.job.Template.Builder.Decode(nil)
	if err := diagError(diags); err != nil {
		return err
	}
	store, ok := component.(kiln.LayerStore)
	if !ok {
		return fmt.Errorf("the builder %s keeps no layers", w.job.Template.Builder.Type)
	}
	if r.tried() && r.deepest() == 0 {
		return r.nothingKept()
	}
	if !known {
		return nil
	}
	w.b = kiln.NewBuild(
		kiln.Build{
			Name: w.job.Template.Name, Source: w.job.Template.Source, Type: w.job.Template.Builder.Type, Dir: w.Dir,
		},
		kiln.Host{
			Emit: func(kiln.Event) {}, Layers: w.layerKeys, Last: w.last, Render: w.render,
			Checksum: w.Layers.Checksum,
		},
	)
	found, _, err := store.FindLayer(ctx, w.b)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil || w.chain == nil:
		return nil // it is seen when the machine starts
	case !r.tried() && found == 0:
		return fmt.Errorf("it failed in phase %s, and nothing is kept of it", r.Phase)
	case !r.tried():
		return nil
	}
	steps := min(r.deepest(), w.settled())
	if why := r.changed(w.chain, steps); why != "" {
		return errors.New(why)
	}
	if found == 0 && steps == r.deepest() {
		return fmt.Errorf("the layer after its step %d is no longer there", r.deepest())
	}
	return nil
}

// tried reports whether the earlier run came to the steps.
func (r *resumption) tried() bool { return r.Identity != "" }

// settled is the number of steps before the first one that runs always, and may change
// what later ones depend on.
func (w *work) settled() int {
	for i, p := range w.job.Template.Provisioners {
		component, _ := p.Decode(nil)
		if t := kiln.TraitsOf(component); t.Outside && !t.NoScript {
			return i
		}
	}
	return len(w.job.Template.Provisioners)
}

// goesOn refuses to run step i again of a build that is to be resumed, where that was
// asked for and cannot be.
func (w *work) goesOn(i, resumed int) error {
	r := w.job.resumed
	if r == nil || resumed > 0 && (!r.tried() || i >= r.deepest()) {
		return nil
	}
	const refusal = "the build cannot be resumed: %s"
	if w.chain == nil || w.checkpointer == nil {
		return fmt.Errorf(refusal, "the machine keeps no layers")
	}
	if r.tried() {
		if why := r.changed(w.chain, i+1); why != "" {
			return fmt.Errorf(refusal, why)
		}
	}
	if resumed == 0 {
		return fmt.Errorf(refusal, fmt.Sprintf("the layer after its step %d is no longer there", r.deepest()))
	}
	return nil
}

// sayResumed says from where a build goes on.
func (w *work) sayResumed(resumed int) {
	if r := w.job.resumed; r != nil && resumed > 0 {
		w.b.Say("Resuming after step %d of %d: %s", resumed, len(w.job.Template.Provisioners), r.story())
	}
}

func (l *Layers) progressPath(w *work) string {
	return strings.TrimSuffix(l.memoryPath(w), ".json") + ".last"
}

// cameTo reads how far a build came in its last run; nil: nothing is known.
func (l *Layers) cameTo(w *work) *progress {
	text, err := os.ReadFile(l.progressPath(w))
	var p progress
	if err != nil || json.Unmarshal(text, &p) != nil {
		return nil
	}
	return &p
}

// noteProgress keeps how far the build has come. Not being able to costs only a resumption.
func (w *work) noteProgress(p *progress) {
	p.Run = w.Run
	text, err := json.Marshal(p)
	if err == nil {
		_ = kiln.WriteFile(w.Layers.progressPath(w), text, 0o600)
	}
}

// progress is how far the build has come by now.
func (w *work) progress() *progress {
	c := w.chain
	p := &progress{Identity: c.identity, Builder: c.builder, Steps: c.inputs, End: c.end, Cut: c.cutAt}
	for i := range c.inputs {
		p.Kept = append(p.Kept, c.kept[i] && w.Layers.Record(c.keys[i+1]) != nil)
	}
	return p
}

// noteFailure keeps how far a build came that failed, and returns after how many steps it
// can be resumed; 0: it cannot.
func (w *work) noteFailure() int {
	if w.Layers == nil {
		return 0
	}
	p := &progress{}
	switch {
	case w.chain != nil && w.provisioning:
		p = w.progress()
	case w.job.resumed != nil: // it did not come to where the earlier run was
		p = &w.job.resumed.progress
	}
	p.Phase, p.Failed, p.Title = w.failedIn, 0, ""
	if p.Phase == "" {
		p.Phase = "post-process"
	}
	if w.failedIn == "provision" && w.at > 0 {
		p.Failed, p.Title = w.at, title(w.job.Template.Provisioners[w.at-1])
	}
	w.noteProgress(p)
	return p.deepest()
}
