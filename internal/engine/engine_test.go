package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kiln"
	"kiln/driver/local"
	"kiln/internal/journal"
	"kiln/internal/template"
	"kiln/internal/template/load"
)

// world is where fake machines, images and layers live.
type world struct {
	mu     sync.Mutex
	things map[string]bool
	log    []string
}

var here *world

func (w *world) put(id string)  { w.mu.Lock(); w.things[id] = true; w.mu.Unlock() }
func (w *world) drop(id string) { w.mu.Lock(); delete(w.things, id); w.mu.Unlock() }
func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	w.log = append(w.log, fmt.Sprintf(format, args...))
	w.mu.Unlock()
}

// noted is how often a text was noted.
func (w *world) noted(text string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.log {
		if l == text {
			n++
		}
	}
	return n
}

func (w *world) has(id string) bool { w.mu.Lock(); defer w.mu.Unlock(); return w.things[id] }

func (w *world) list() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for id := range w.things {
		all = append(all, id)
	}
	slices.Sort(all)
	return all
}

type builder struct {
	Fail string `kiln:"fail"`
}

func (f *builder) Start(ctx context.Context, b *kiln.Build) (kiln.Machine, error) {
	m := &machine{f, b, 0}
	r := kiln.Resource{Owner: "builder.fake", Kind: "vm", ID: "vm-" + b.Name}
	if err := b.Own(r, func(context.Context) error { here.drop(r.ID); return nil }); err != nil {
		return nil, err
	}
	here.put(r.ID)
	keys := b.Layers("source")
	for n := len(keys) - 1; n > 0 && m.resumed == 0; n-- {
		if keys[n] != "" && here.has("layer-"+string(keys[n])) {
			m.resumed = n
		}
	}
	if f.Fail == "start" {
		return nil, errors.New("start failed")
	}
	return m, nil
}

// Reap destroys anything by its name.
func (f *builder) Reap(_ context.Context, r kiln.Resource) error { here.drop(r.ID); return nil }

func (f *builder) Owned(context.Context, string, kiln.Resource) ([]kiln.Resource, error) {
	return nil, nil
}

type machine struct {
	*builder
	b       *kiln.Build
	resumed int
}

func (m *machine) Connect(context.Context) (kiln.Communicator, error) {
	if m.resumed > 0 && here.has("locked out") {
		return nil, errors.New("permission denied")
	}
	return nowhere{}, nil
}

func (m *machine) Resumed() int { return m.resumed }

func (m *machine) Overhead() time.Duration { return 0 }

func (m *machine) Checkpoint(_ context.Context, key kiln.LayerKey, _ bool) error {
	r := kiln.Resource{Owner: "builder.fake", Kind: kiln.KindLayer, ID: "layer-" + string(key)}
	if err := m.b.Own(r, func(context.Context) error { here.drop(r.ID); return nil }); err != nil {
		return err
	}
	here.put(r.ID)
	return m.b.Release(r)
}

func (m *machine) Capture(context.Context) (*kiln.Artifact, error) {
	if m.Fail == "capture" {
		return nil, errors.New("capture failed")
	}
	r := kiln.Resource{Owner: "builder.fake", Kind: "image", ID: "image-" + m.b.Name}
	if err := m.b.Own(r, func(context.Context) error { here.drop(r.ID); return nil }); err != nil {
		return nil, err
	}
	here.put(r.ID)
	return &kiln.Artifact{Builder: "fake", ID: r.ID, Resources: []kiln.Resource{r}}, m.b.Release(r)
}

type nowhere struct{}

func (nowhere) Run(context.Context, *kiln.Cmd) error           { return nil }
func (nowhere) Upload(context.Context, *kiln.Upload) error     { return nil }
func (nowhere) Download(context.Context, *kiln.Download) error { return nil }
func (nowhere) Guest() kiln.Guest                              { return kiln.Guest{} }
func (nowhere) Close() error                                   { return nil }

type provisioner struct {
	Text  string `kiln:"text"`
	File  string `kiln:"file,file"`
	Fails int    `kiln:"fails"`
	Ask   bool   `kiln:"ask"`
}

func (p *provisioner) Provision(ctx context.Context, b *kiln.Build, _ kiln.Communicator) error {
	if p.Ask {
		if _, err := b.Ask(ctx, "go on?"); err != nil {
			return err
		}
	}
	here.note("%s", p.Text)
	if n := here.noted(p.Text); n <= p.Fails {
		return fmt.Errorf("%s failed the time %d", p.Text, n)
	}
	return nil
}

// quiet runs no script, so that it does the same in every build.
type quiet struct {
	provisioner `kiln:",squash"`
}

func (*quiet) Traits() kiln.Traits { return kiln.Traits{NoScript: true} }

type postProcessor struct {
	Makes string `kiln:"makes"`
	Fail  bool   `kiln:"fail"`
	Force bool   `kiln:"force"`
}

func (p *postProcessor) Traits() kiln.Traits {
	return kiln.Traits{Keep: kiln.Keep{Default: p.Force, Forced: p.Force}}
}

func (p *postProcessor) Process(_ context.Context, b *kiln.Build, in *kiln.Artifact) (*kiln.Artifact, error) {
	if p.Fail {
		return nil, errors.New("it failed")
	}
	if p.Makes == "" {
		return in, nil
	}
	r := kiln.Resource{Owner: "builder.fake", Kind: "made", ID: p.Makes}
	if err := b.Own(r, func(context.Context) error { here.drop(r.ID); return nil }); err != nil {
		return nil, err
	}
	here.put(r.ID)
	return &kiln.Artifact{Builder: "pp", ID: p.Makes, Resources: []kiln.Resource{r}}, b.Release(r)
}

func components() kiln.Components {
	return kiln.Components{
		Builders: map[string]func() kiln.Builder{"fake": func() kiln.Builder { return new(builder) }},
		Provisioners: map[string]func() kiln.Provisioner{
			"fake":  func() kiln.Provisioner { return new(provisioner) },
			"quiet": func() kiln.Provisioner { return new(quiet) },
		},
		PostProcessors: map[string]func() kiln.PostProcessor{"fake": func() kiln.PostProcessor { return new(postProcessor) }},
	}
}

// bake runs a JSON template and returns its results, texts of events and the
// number of journals that are left.
func bake(t *testing.T, text string, change func(*Options)) ([]Result, string, int) {
	t.Helper()
	dir := t.TempDir()
	tmpl, diags := load.Template(t.Context(), template.Options{Path: "-", Stdin: strings.NewReader(text), Components: components(), PackerVersion: "1.16.0", KilnVersion: "1"})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	builds, diags := tmpl.Builds(t.Context())
	plan, more := NewPlan(builds)
	if diags = append(diags, more...); diags.HasErrors() {
		t.Fatal(diags)
	}
	j := journal.New(dir, "run", "-")
	var mu sync.Mutex
	var said []string
	o := Options{Run: "run", Dir: ".", OnError: "cleanup", Journal: j,
		Reaper: func(owner string) (kiln.Reaper, bool) {
			if owner == "" {
				return local.Reaper{}, true
			}
			return new(builder), true
		},
		Sink: func(e kiln.Event) { mu.Lock(); said = append(said, string(e.Kind)+" "+e.Text+" "+e.Error); mu.Unlock() }}
	if change != nil {
		change(&o)
	}
	results := Run(t.Context(), plan, o)
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return results, strings.Join(said, "\n"), len(left)
}

func TestRun(t *testing.T) {
	image := "image-fake"
	for _, c := range []struct {
		name, template, onError string
		left                    []string // things that are there afterwards
		listed                  []string // artifacts
		err                     string
		journals                int
	}{
		{"plain", `{"builders":[{"type":"fake"}]}`, "", []string{image}, []string{image}, "", 0},
		{"start fails", `{"builders":[{"type":"fake","fail":"start"}]}`, "", nil, nil, "start failed", 0},
		{"capture fails", `{"builders":[{"type":"fake","fail":"capture"}]}`, "", nil, nil, "capture failed", 0},
		{"provision fails", `{"builders":[{"type":"fake"}],"provisioners":[{"type":"fake","text":"a","fails":9}]}`, "", nil, nil, "a failed the time 1", 0},
		{"abort", `{"builders":[{"type":"fake"}],"provisioners":[{"type":"fake","text":"a","fails":9}]}`, "abort", []string{"vm-fake"}, nil, "a failed", 1},
		{"ask without a terminal", `{"builders":[{"type":"fake"}],"provisioners":[{"type":"fake","text":"a","fails":9}]}`, "ask", nil, nil, "a failed", 0},
		{"retries", `{"builders":[{"type":"fake"}],"provisioners":[{"type":"fake","text":"a","fails":2,"max_retries":2}]}`, "", []string{image}, []string{image}, "", 0},
		{"retries are over", `{"builders":[{"type":"fake"}],"provisioners":[{"type":"fake","text":"a","fails":3,"max_retries":2}]}`, "", nil, nil, "a failed the time 1", 0},
		{"cleanup provisioner fails", `{"builders":[{"type":"fake"}],"provisioners":[{"type":"fake","text":"a","fails":1}],"error-cleanup-provisioner":{"type":"fake","text":"c","fails":1}}`, "", nil, nil,
			"Cleanup failed: c failed the time 1. Original Provisioning error: a failed the time 1", 0},
		{"input is replaced", `{"builders":[{"type":"fake"}],"post-processors":[{"type":"fake","makes":"x"}]}`, "", []string{"x"}, []string{"x"}, "", 0},
		{"input is kept", `{"builders":[{"type":"fake"}],"post-processors":[{"type":"fake","makes":"x","keep_input_artifact":true}]}`, "", []string{image, "x"}, []string{image, "x"}, "", 0},
		{"forced keep", `{"builders":[{"type":"fake"}],"post-processors":[{"type":"fake","force":true,"keep_input_artifact":false}]}`, "", []string{image}, []string{image, image}, "", 0},
		{"chain", `{"builders":[{"type":"fake"}],"post-processors":[[{"type":"fake","makes":"x"},{"type":"fake","makes":"y"}]]}`, "", []string{"y"}, []string{"y"}, "", 0},
		{"chain keeps", `{"builders":[{"type":"fake"}],"post-processors":[[{"type":"fake","makes":"x"},{"type":"fake","makes":"y","keep_input_artifact":true}]]}`, "", []string{"x", "y"}, []string{"x", "y"}, "", 0},
		{"one chain keeps", `{"builders":[{"type":"fake"}],"post-processors":[{"type":"fake","makes":"x"},{"type":"fake","force":true}]}`, "", []string{image, "x"}, []string{image, "x", image}, "", 0},
		{"kept and handed on", `{"builders":[{"type":"fake"}],"post-processors":[[{"type":"fake","makes":"x"},{"type":"fake","force":true},{"type":"fake","makes":"y"}]]}`, "", []string{"x", "y"}, []string{"x", "y"}, "", 0},
		{"the builder's is kept and handed on", `{"builders":[{"type":"fake"}],"post-processors":[[{"type":"fake","force":true},{"type":"fake","makes":"x"}]]}`, "", []string{image, "x"}, []string{image, "x"}, "", 0},
		{"first fails", `{"builders":[{"type":"fake"}],"post-processors":[{"type":"fake","fail":true},{"type":"fake","makes":"x"}]}`, "", []string{"x"}, nil, "Post-processor failed: it failed", 0},
		{"second fails", `{"builders":[{"type":"fake"}],"post-processors":[[{"type":"fake","force":true},{"type":"fake","fail":true}]]}`, "", []string{image}, nil, "1 error(s) occurred:", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			here = &world{things: map[string]bool{}}
			results, said, journals := bake(t, c.template, func(o *Options) {
				if c.onError != "" {
					o.OnError = c.onError
				}
			})
			r := results[0]
			if c.err == "" && r.Err != nil || c.err != "" && (r.Err == nil || !strings.Contains(r.Err.Error(), c.err)) {
				t.Errorf("error %v, want %q\n%s", r.Err, c.err, said)
			}
			var listed []string
			for _, a := range r.Artifacts {
				listed = append(listed, a.ID)
			}
			if diff := cmp.Diff(c.listed, listed); diff != "" {
				t.Errorf("artifacts (-want +have):\n%s", diff)
			}
			if diff := cmp.Diff(c.left, here.list()); diff != "" {
				t.Errorf("what is there (-want +have):\n%s\n%s", diff, said)
			}
			if journals != c.journals {
				t.Errorf("%d journals are left", journals)
			}
		})
	}
}

func TestLayers(t *testing.T) {
	here = &world{things: map[string]bool{}}
	file := filepath.Join(t.TempDir(), "f")
	layers, err := OpenLayers(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	run := func(content, third, want, reason string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		here.log = nil
		text := fmt.Sprintf(`{"builders":[{"type":"fake"}],"provisioners":[{"type":"fake","text":"one"},{"type":"fake","text":"two","file":%q},{"type":"fake","text":%q}]}`, file, third)
		_, said, _ := bake(t, text, func(o *Options) { o.Layers = layers })
		if got := strings.Join(here.log, " "); got != want {
			t.Errorf("ran %q, want %q", got, want)
		}
		if reason != "" && !strings.Contains(said, "layer "+reason) {
			t.Errorf("not said: %s\n%s", reason, said)
		}
	}
	run("a", "three", "one two three", "first build of it here")
	run("a", "three", "", "")
	run("a", "3", "3", "text changed")
	run("b", "3", "two 3", "file "+file+" changed")
	run("a", "three", "", "")
	for _, id := range here.list() {
		if strings.HasPrefix(id, "layer-") {
			here.drop(id)
		}
	}
	run("a", "three", "one two three", "its layer is no longer kept")
}

// What cannot be in a key is not kept, nor is anything after it, and the reason is said.
func TestNotKept(t *testing.T) {
	for _, c := range []struct {
		name, first, want, reason string
		change                    func(*Options)
	}{
		{"somebody was asked", `"ask":true`, "one two three one two three", "somebody was asked, and may have worked on the machine by hand", nil},
		{"a try failed", `"fails":1,"max_retries":1`, "one one two three one two three", "a try of step 1 failed", nil},
		{"the template says so", `"cache":false`, "one two three one two three", "", nil},
		{"it is too old", `"fails":0`, "one two three one two three", "", func(o *Options) { o.Layers.MaxAge = 1 }},
		{"one step may not be old", `"cache_max_age":"1ns"`, "one two three one two three", "", nil},
		{"a pipe is read once", `"file":"PIPE"`, "one two three one two three", "is not a regular file", nil},
		{"nothing", `"fails":0`, "one two three", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			here = &world{things: map[string]bool{}}
			layers, err := OpenLayers(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			layers.All = true
			text := fmt.Sprintf(`{"builders":[{"type":"fake"}],"provisioners":[{"type":"fake","text":"one",%s},
				{"type":"fake","text":"two"},{"type":"fake","text":"three"}]}`, strings.Replace(c.first, "PIPE", pipe(t), 1))
			var all string
			for range 2 {
				_, said, _ := bake(t, text, func(o *Options) {
					o.Layers, o.Ask = layers, func(context.Context, string, string) (string, error) { return "", nil }
					if c.change != nil {
						c.change(o)
					}
				})
				all += said
			}
			if got := strings.Join(here.log, " "); got != c.want {
				t.Errorf("ran %q, want %q", got, c.want)
			}
			if !strings.Contains(all, c.reason) {
				t.Errorf("not said: %s\n%s", c.reason, all)
			}
		})
	}
}

// Builds that make the same layer at once make it once.
func TestLayerIsMadeOnce(t *testing.T) {
	here = &world{things: map[string]bool{}}
	layers, err := OpenLayers(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text := `{"builders":[{"type":"fake","name":"a"},{"type":"fake","name":"b"}],"provisioners":[{"type":"quiet","text":"same"}]}`
	bake(t, text, func(o *Options) { o.Layers = layers })
	records, err := layers.Records()
	if err != nil || len(records) != 1 {
		t.Errorf("%d layers are known, %v", len(records), err)
	}
}

func TestCancelled(t *testing.T) {
	here = &world{things: map[string]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tmpl, _ := load.Template(t.Context(), template.Options{Path: "-", Stdin: strings.NewReader(`{"builders":[{"type":"fake"}]}`), Components: components(), PackerVersion: "1.16.0"})
	builds, _ := tmpl.Builds(t.Context())
	plan, _ := NewPlan(builds)
	var end kiln.Event
	results := Run(ctx, plan, Options{Journal: journal.New(t.TempDir(), "r", ""), Sink: func(e kiln.Event) { end = e }})
	if len(results) != 0 || end.Result != kiln.OutcomeCancelled {
		t.Errorf("%v, %+v", results, end)
	}
}

// A state is kept where that takes little beside the steps for which it stands.
func TestWorthKeeping(t *testing.T) {
	const cost, bit = time.Hour, time.Minute // the test itself takes less than a bit
	steps := make([]*template.Provisioner, 6)
	for i := range steps {
		steps[i] = &template.Provisioner{}
	}
	steps[1].AlwaysCache = true
	for _, c := range []struct {
		name          string
		step          int
		steps, worked time.Duration // how long the steps took, also when the last layer was kept
		local         int           // how many of the last steps run always
		want          bool
	}{
		{"the last one", 5, 0, 0, 0, true},
		{"before the last one", 4, 3*cost + bit, 3 * cost, 0, true},
		{"before the last one of a short build", 4, 3*cost - bit, 0, 0, false},
		{"the template asks for it", 1, 0, 0, 0, true},
		{"after much work", 2, 5*cost + bit, 0, 0, true},
		{"after little work", 2, 5*cost - bit, 0, 0, false},
		{"little since the last", 2, 20 * cost, 16 * cost, 0, false},
		{"much since the last", 2, 20*cost + bit, 15 * cost, 0, true},
		{"the last one but for local steps", 3, 0, 0, 2, true},
		{"before the last one but for a local step", 3, 3*cost + bit, 3 * cost, 1, true},
		{"before the last one of a short build with a local step", 3, 0, 0, 1, false},
	} {
		w := &work{
			runner: &runner{Options: Options{Layers: &Layers{}}}, checkpointer: dear(cost),
			job: &Job{Template: &template.Build{Provisioners: steps}},
			chain: &chain{
				keys: make([]kiln.LayerKey, len(steps)+1), worked: c.worked, spent: cost,
				first: time.Now().Add(-c.steps - cost), always: make([]bool, len(steps)),
			},
		}
		for i := range c.local {
			w.chain.always[len(steps)-1-i] = true
		}
		if got := w.worthKeeping(c.step); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

// dear is a machine whose state costs that much to keep.
type dear time.Duration

func (d dear) Overhead() time.Duration                             { return time.Duration(d) }
func (dear) Resumed() int                                          { return 0 }
func (dear) Checkpoint(context.Context, kiln.LayerKey, bool) error { return nil }
