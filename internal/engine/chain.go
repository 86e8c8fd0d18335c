package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kiln"
	"kiln/driver/lock"
	"kiln/internal/template"
)

// A chain is the layer keys of one build: of its start state and of the state after
// each step, each made from the one before and the step's inputs. What cannot be in a
// key is not kept: keys end before such a step, and a chain that is cut while the build
// runs keeps nothing more.
type chain struct {
	layers   *Layers
	identity string          // of the machine's source
	builder  Inputs          // what else the start state depends on
	keys     []kiln.LayerKey // [n] of the state after n steps
	inputs   []Inputs        // of the steps that have a key, or that run always
	end      string          // why the keys end before the last step; "": they do not
	cut      string          // why nothing more is kept; "": it is
	cutAt    int             // step at which that was so first; 0: see end
	always   []bool          // whether a step runs always, so that no layer is kept after it
	ran      []time.Time     // when each step ran whose effect the machine holds
	kept     []bool          // whether a layer was kept after a step
	fresh    bool            // the machine is to start from no layer
	spent    time.Duration   // on keeping layers
	worked   time.Duration   // how long the steps had taken when the last layer was kept
	begin    time.Time
	first    time.Time // when the first step began that runs
}

func (w *work) newChain(identity string) (*chain, error) {
	component, diags := w.job.Template.Builder.Decode(nil)
	if err := diagError(diags); err != nil {
		return nil, err
	}
	in, err := w.Layers.Builder(w.job.Template.Builder.Type, component)
	if err != nil {
		return nil, err
	}
	steps := len(w.job.Template.Provisioners)
	c := &chain{
		layers: w.Layers, identity: w.Layers.Sum("source", identity), builder: in, begin: time.Now(),
		ran: make([]time.Time, steps), kept: make([]bool, steps), always: make([]bool, steps),
	}
	for i, p := range w.job.Template.Provisioners {
		component, _ := p.Decode(nil)
		c.always[i] = kiln.TraitsOf(component).Outside
	}
	c.keys = []kiln.LayerKey{c.layers.key(append([]string{"start", c.identity}, in.list()...)...)}
	return c, nil
}

// layerKeys is the host's answer to Build.Layers: the keys of the layers that may be
// used, as far as they are known. An empty key is of a layer that is too old.
func (w *work) layerKeys(b *kiln.Build, identity string) []kiln.LayerKey {
	var err error
	from := 0
	if old := w.chain; old != nil && old.identity == w.Layers.Sum("source", identity) {
		// Started again: what local steps have used already counts as it was then.
		from = w.doneTo()
	} else {
		w.chain, err = w.newChain(identity)
	}
	if err == nil {
		err = w.extend(b, from)
	}
	if err != nil {
		b.Warn("Layers are not used: %v", err)
		w.chain = nil
		return nil
	}
	return w.offer()
}

// doneTo is the number of steps up to the last one that has run and runs only once.
func (w *work) doneTo() int {
	to := 0
	for i := range w.done {
		to = max(to, i+1)
	}
	return to
}

// extend computes the keys after the first steps again.
func (w *work) extend(b *kiln.Build, from int) error {
	c := w.chain
	if from >= len(c.keys) {
		return nil
	}
	c.keys, c.inputs, c.end = c.keys[:from+1:from+1], c.inputs[:from:from], ""
	for i := from; i < len(w.job.Template.Provisioners); i++ {
		p := w.job.Template.Provisioners[i]
		in, why, err := w.stepInputs(b, p)
		if err != nil {
			return err
		}
		if p.NoCache {
			why = notCached
		}
		if why != "" {
			c.end = why
			return nil
		}
		c.inputs = append(c.inputs, in)
		key := c.keys[i]
		if len(in) > 0 {
			key = c.layers.key(append([]string{string(key)}, in.list()...)...)
		}
		c.keys = append(c.keys, key)
	}
	return nil
}

// stepInputs lists what a step depends on. Why is the reason for which that cannot be
// known.
func (w *work) stepInputs(b *kiln.Build, p *template.Provisioner) (in Inputs, why string, err error) {
	component, diags := p.Decode(nil)
	if err := diagError(diags); err != nil {
		return nil, "", err
	}
	traits := kiln.TraitsOf(component)
	if traits.Outside && traits.NoScript {
		return Inputs{}, "", nil // the machine does not notice it
	}
	if unknown := p.Unknown(); len(unknown) > 0 {
		return nil, unknown[0].Option + " is known only while the build runs", nil
	}
	in, err = w.Layers.Step(p.Type, component, b)
	// Where the build's own HTTP server is heard is known only when it runs, and elsewhere in
	// each run.
	for _, name := range []string{"PACKER_HTTP_ADDR", "PACKER_HTTP_IP", "PACKER_HTTP_PORT"} {
		delete(in, "variable "+name)
	}
	if builder, _ := w.job.Template.Builder.Decode(nil); err == nil && kiln.TraitsOf(builder).GivesOwners {
		err = w.Layers.Owners(in, component)
	}
	if errors.Is(err, errNoInput) {
		return nil, err.Error(), nil
	}
	return in, "", err
}

// offer lists the keys of the layers that may be used.
func (w *work) offer() []kiln.LayerKey {
	keys := make([]kiln.LayerKey, len(w.chain.keys))
	for n := range keys {
		if n == 0 || !w.chain.fresh && w.usable(n) {
			keys[n] = w.chain.keys[n]
		}
	}
	return keys
}

// usable reports whether the layer after n steps may be used. A build that is resumed goes
// on from what the run kept that it resumes, whatever its age, and from nothing else.
func (w *work) usable(n int) bool {
	if r := w.job.resumed; r != nil && r.tried() {
		return n <= len(r.Kept) && r.Kept[n-1] && w.Layers.Record(w.chain.keys[n]) != nil
	}
	return w.tooOld(n) == ""
}

// tooOld says why the layer after n steps may not be used for its age; "": it may.
// A layer of which nothing is known is too old.
func (w *work) tooOld(n int) string {
	r := w.Layers.Record(w.chain.keys[n])
	if r == nil || len(r.Ran) != n {
		return "its layer is no longer kept"
	}
	for i, ran := range r.Ran {
		most := w.maxAge(w.job.Template.Provisioners[i])
		if age := time.Since(ran); !ran.IsZero() && age > most {
			return fmt.Sprintf(
				"step %d of its layer ran %s ago, which may be %s at most",
				i+1,
				ShowAge(age),
				ShowAge(most),
			)
		}
	}
	return ""
}

func (w *work) maxAge(p *template.Provisioner) time.Duration {
	if p.CacheMaxAge > 0 {
		return p.CacheMaxAge
	}
	return w.Layers.MaxAge
}

// ShowAge shows a duration as people tell an age.
func ShowAge(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	}
	return d.Round(time.Second).String()
}

// resume takes over when the steps of a layer ran that the machine was started from. The
// first step begins now.
func (w *work) resume(n int) {
	if w.chain == nil {
		return
	}
	w.chain.first, w.chain.worked, w.chain.spent = time.Now(), 0, 0
	if n == 0 || n >= len(w.chain.keys) {
		return
	}
	if r := w.Layers.Record(w.chain.keys[n]); r != nil {
		copy(w.chain.ran, r.Ran)
	}
	for i := range n {
		w.chain.kept[i] = w.Layers.Record(w.chain.keys[i+1]) != nil
	}
}

// stopKeeping keeps no layer from here on. The reason is shown once.
func (w *work) stopKeeping(b *kiln.Build, format string, args ...any) {
	c := w.chain
	if c == nil || c.cut != "" {
		return
	}
	c.cut, c.cutAt = fmt.Sprintf(format, args...), b.Step
	if w.checkpointer != nil && b.Step < len(c.keys) {
		b.Say("No layers are kept from here on: %s", c.cut)
	}
}

// sayEnd says at the first step without a key why it has none. What the template itself
// asks for needs no words.
func (w *work) sayEnd(b *kiln.Build, i int) {
	c := w.chain
	if c == nil || w.checkpointer == nil || c.cut != "" || i != len(c.keys)-1 || c.end == "" ||
		c.end == notCached {
		return
	}
	c.cut = c.end
	b.Say("No layers are kept from here on: %s", c.end)
}

// notCached is why keys end at a step that the template wants no layer of.
const notCached = "cache = false"

// beforeStep looks at a step's inputs as it begins. They may have changed since the keys
// were made: by a local step, or by somebody at work.
func (w *work) beforeStep(b *kiln.Build, i int) error {
	c := w.chain
	if c == nil || i >= len(c.inputs) {
		return nil
	}
	in, why, err := w.stepInputs(b, w.job.Template.Provisioners[i])
	if err != nil || why == "" && in.diff(c.inputs[i]) == "" {
		return err
	}
	if i < w.doneTo() {
		return fmt.Errorf(
			"step %d has to run again, and what it depends on has changed since it ran first (%s): build with -no-cache",
			i+1,
			in.diff(c.inputs[i])+why,
		)
	}
	return w.extend(b, i)
}

// afterStep keeps the state after a step, if it may be kept and is worth it.
func (w *work) afterStep(ctx context.Context, b *kiln.Build, i int) error {
	c := w.chain
	if c == nil || w.checkpointer == nil || c.cut != "" || i+1 >= len(c.keys) {
		return nil
	}
	in, why, err := w.stepInputs(b, w.job.Template.Provisioners[i])
	if err != nil || why != "" || in.diff(c.inputs[i]) != "" {
		w.stopKeeping(b, "what step %d depends on changed while it ran (%s)", i+1, in.diff(c.inputs[i]))
		return nil
	}
	if !w.worthKeeping(i) {
		return nil
	}
	begin := time.Now()
	c.worked = c.work()
	err = w.keep(ctx, c.keys[i+1], i+1)
	c.spent += time.Since(begin)
	switch {
	case err == nil:
		c.kept[i] = true
		w.Layers.kept.Store(true)
		w.noteProgress(w.progress())
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, kiln.ErrNotNow):
		b.Say("No layer is kept after step %d: %v", i+1, err)
	case errors.Is(err, kiln.ErrNotKept):
		w.stopKeeping(b, "%v", err)
	default:
		b.Warn("Warning: the layer after step %d cannot be kept: %v", i+1, err)
		w.stopKeeping(b, "a layer could not be kept")
	}
	return nil
}

// How many times as long as keeping a layer the steps must have taken for which it
// stands: those since the layer before it, and for the state before the last step, which
// is the one that is edited most, all of them.
const (
	keepShare     = 5
	keepLastShare = 3
)

// worthKeeping reports whether the state after step i is kept: always after the last
// step that can have a layer, and where the template asks for it; else as long as that
// costs little beside the work that it may save.
func (w *work) worthKeeping(i int) bool {
	c := w.chain
	cost := w.checkpointer.Overhead()
	switch {
	case w.Layers.All, w.job.resumed != nil, w.job.Template.Provisioners[i].AlwaysCache:
		return true
	}
	switch c.layersAfter(i) {
	case 0:
		return true
	case 1:
		if c.work() >= keepLastShare*cost {
			return true
		}
	}
	return c.work()-c.worked >= keepShare*cost
}

// layersAfter is the number of steps after step i that can have a layer.
func (c *chain) layersAfter(i int) int {
	n := 0
	for _, always := range c.always[i+1 : len(c.keys)-1] {
		if !always {
			n++
		}
	}
	return n
}

// work is how long the steps have taken that ran, without keeping layers.
func (c *chain) work() time.Duration { return time.Since(c.first) - c.spent }

// keep makes the layer and then its record. Builds that make the same layer wait for
// each other: the later one finds it made.
func (w *work) keep(ctx context.Context, key kiln.LayerKey, steps int) error {
	unlock, err := lock.File(ctx, w.Layers.lockPath(key))
	if err != nil {
		return err
	}
	defer unlock()
	if r := w.Layers.Record(key); r != nil && r.Created.After(w.chain.begin) {
		return nil // another build kept it meanwhile
	}
	if err := w.checkpointer.Checkpoint(ctx, key, steps == len(w.job.Template.Provisioners)); err != nil {
		return err
	}
	return w.Layers.write(&Record{
		Key: key, Builder: w.job.Template.Builder.Type, Run: w.Run, Build: w.job.Template.Name, Created: time.Now(),
		Ran: append([]time.Time(nil), w.chain.ran[:steps]...),
	})
}

// outdated looks at the layers again after a local step, which may have made or changed
// what later steps depend on. Again means that another layer than the one that the
// machine was started from is the right one now.
func (w *work) outdated(ctx context.Context, b *kiln.Build, i, resumed int) (again bool, err error) {
	c := w.chain
	if c == nil || w.checkpointer == nil {
		return false, nil
	}
	before := c.keys
	if err := w.extend(b, i+1); err != nil {
		return false, err
	}
	if i+1 < resumed {
		return resumed >= len(c.keys) || c.keys[resumed] != before[resumed], nil
	}
	store, ok := w.builder.(kiln.LayerStore)
	if !ok || c.cut != "" || len(c.keys) <= i+2 ||
		len(before) == len(c.keys) && before[len(before)-1] == c.keys[len(c.keys)-1] {
		return false, nil
	}
	host := kiln.Host{
		Emit:   func(kiln.Event) {},
		Render: w.render,
		Layers: func(*kiln.Build, string) []kiln.LayerKey { return w.offer() },

		Checksum: w.Layers.Checksum,
	}
	deepest, _, err := store.FindLayer(ctx, kiln.NewBuild(*b, host))
	return err == nil && deepest > i+1, nil
}

// change says what of step i itself is not as it was; "": nothing is known to be.
func (w *work) change(i int) string {
	c := w.chain
	if c == nil || i >= len(c.inputs) {
		return ""
	}
	last := w.Layers.recall(w)
	if last == nil || i >= len(last.Steps) {
		return ""
	}
	return c.inputs[i].diff(last.Steps[i])
}

// reason says why step i has no layer to start from.
func (w *work) reason(i int) string {
	c := w.chain
	if c == nil {
		return "layers are not used"
	}
	if i+1 >= len(c.keys) && c.end != "" {
		if at := len(c.keys) - 1; at < i {
			return fmt.Sprintf("step %d: %s", at+1, c.end)
		}
		return c.end
	}
	if r := w.job.resumed; r != nil && i < min(len(r.Steps), len(c.inputs)) {
		return r.missed(i, c.inputs[i])
	}
	last := w.Layers.recall(w)
	if last == nil {
		return "first build of it here"
	}
	// What is started with the settings may be part of the identity, as a container's arguments
	// are: a setting that changed is the better reason.
	if diff := c.builder.diff(last.Builder); diff != "" {
		return "the machine's settings changed: " + diff
	}
	if last.Identity != c.identity {
		return "the source image changed"
	}
	if i >= len(last.Steps) {
		return "new step"
	}
	for n := i; n >= 0; n-- {
		diff := c.inputs[n].diff(last.Steps[n])
		switch {
		case diff == "":
		case n == i:
			return diff
		default:
			return fmt.Sprintf("step %d: %s", n+1, diff)
		}
	}
	if old := w.tooOld(i + 1); old != "" && w.Layers.Record(c.keys[i+1]) != nil {
		return old
	}
	if i < len(last.Kept) && !last.Kept[i] {
		return "no layer was kept after it"
	}
	return "its layer is no longer kept"
}
