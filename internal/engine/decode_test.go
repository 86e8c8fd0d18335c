package engine

import (
	"context"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kiln"
	"kiln/driver/local"
	"kiln/internal/journal"
	"kiln/internal/template"
	"kiln/internal/template/load"
)

// tally counts what happens to components, by their text.
type tally struct {
	mu  sync.Mutex
	all map[string]int
}

func (t *tally) add(what string) { t.mu.Lock(); t.all[what]++; t.mu.Unlock() }

// counted are components that count how often they are validated and with what
// they run.
type counted struct {
	Text  string   `kiln:"text"`
	Both  string   `kiln:"both,render=both"`
	List  []string `kiln:"list"`
	tally *tally
}

func (c *counted) Validate() error {
	c.tally.add("validate " + c.Text)
	for field, text := range map[string]string{"text": c.Text, "both": c.Both, "list": strings.Join(c.List,
		"")} {
		if strings.Contains(text, "<unknown>") {
			return kiln.Invalid(field, "%q is a placeholder", text)
		}
	}
	return nil
}

type countedBuilder struct {
	counted `kiln:",squash"`
}

func (c *countedBuilder) Start(_ context.Context, b *kiln.Build) (kiln.Machine, error) {
	b.Set("ID", "id-of-"+b.Source)
	return &countedMachine{b}, nil
}

type countedMachine struct{ b *kiln.Build }

func (m *countedMachine) Connect(context.Context) (kiln.Communicator, error) { return nowhere{}, nil }

func (m *countedMachine) Capture(context.Context) (*kiln.Artifact, error) {
	return &kiln.Artifact{Builder: "counted", ID: "image-" + m.b.Source}, nil
}

type countedStep struct {
	counted `kiln:",squash"`
}

func (c *countedStep) ran() { c.tally.add("run " + c.Text + " " + c.Both + strings.Join(c.List, "")) }

func (c *countedStep) Provision(context.Context, *kiln.Build, kiln.Communicator) error {
	c.ran()
	return nil
}

func (c *countedStep) Process(_ context.Context, _ *kiln.Build, in *kiln.Artifact) (*kiln.Artifact, error) {
	c.ran()
	return in, nil
}

// whole does with a template all that plan and build do, and returns the tally.
func whole(t *testing.T, text, config string) map[string]int {
	t.Helper()
	n := &tally{all: map[string]int{}}
	step := func() *countedStep { return &countedStep{counted{tally: n}} }
	o := template.Options{Path: "-", Stdin: strings.NewReader(text), PackerVersion: "1.16.0",
		KilnVersion: "1", Components: kiln.Components{
			Builders:       map[string]func() kiln.Builder{"fake": func() kiln.Builder { return &countedBuilder{counted{tally: n}} }},
			Provisioners:   map[string]func() kiln.Provisioner{"fake": func() kiln.Provisioner { return step() }},
			PostProcessors: map[string]func() kiln.PostProcessor{"fake": func() kiln.PostProcessor { return step() }},
		}}
	var plan *Plan
	if config == "hcl2" {
		plan = planWith(t, text, o.Components)
	} else {
		tmpl, diags := load.Template(t.Context(), o)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		builds, diags := tmpl.Builds(t.Context())
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		var more template.Diagnostics
		if plan, more = NewPlan(builds); more.HasErrors() {
			t.Fatal(more)
		}
	}
	if _, err := Foresee(t.Context(), plan, Options{Dir: "."}); err != nil {
		t.Fatal(err)
	}
	for _, j := range plan.Builds {
		for _, c := range j.Template.Components() {
			c.Unknown()
		}
	}
	for _, r := range Run(t.Context(), plan, Options{Run: "run", Dir: ".", OnError: "cleanup",
		Journal: journal.New(t.TempDir(), "run", "-"), Sink: func(kiln.Event) {},
		Reaper: func(string) (kiln.Reaper, bool) { return local.Reaper{}, true }}) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	return maps.Clone(n.all)
}

// Every component is decoded and validated once, through checking, planning and
// running, if all of it is known.
func TestDecodedOnce(t *testing.T) {
	want := map[string]int{"validate b": 1, "validate p": 1, "validate q": 1, "validate c": 1,
		"validate x": 1,
		"run p ":     1, "run q ": 1, "run x ": 1}
	hcl := `
source "fake" "s" { text = "b" }
build {
  sources = ["fake.s"]
  provisioner "fake" { text = "p" }
  provisioner "fake" { text = "q" }
  error-cleanup-provisioner "fake" { text = "c" }
  post-processor "fake" { text = "x" }
}`
	if diff := cmp.Diff(want, whole(t, hcl, "hcl2")); diff != "" {
		t.Error(diff)
	}
	json := `{"builders":[{"type":"fake","text":"b"}],"provisioners":[{"type":"fake","text":"p"},{"type":"fake","text":"q"}],
		"error-cleanup-provisioner":{"type":"fake","text":"c"},"post-processors":[{"type":"fake","text":"x"}]}`
	if diff := cmp.Diff(want, whole(t, json, "json")); diff != "" {
		t.Error(diff)
	}
}

// What the build alone can know is decoded again with it; the placeholder that
// stands for it before is not a concern of the component.
func TestDecodedAgain(t *testing.T) {
	want := map[string]int{"validate b": 1, "validate p": 2, "validate q": 1, "validate x": 2,
		"run p id-of-s": 1, "run q ": 1, "run x at id-of-s": 1}
	hcl := `
source "fake" "s" { text = "b" }
build {
  sources = ["fake.s"]
  provisioner "fake" {
    text = "p"
    both = build.ID
  }
  provisioner "fake" { text = "q" }
  post-processor "fake" {
    text = "x"
    both = "at {{ .ID }}"
  }
}`
	if diff := cmp.Diff(want, whole(t, hcl, "hcl2")); diff != "" {
		t.Error(diff)
	}
	json := `{"builders":[{"type":"fake","name":"s","text":"b"}],
		"provisioners":[{"type":"fake","text":"p","both":"{{build ` + "`ID`" + `}}"},{"type":"fake","text":"q"}],
		"post-processors":[{"type":"fake","text":"x","both":"at {{.ID}}"}]}`
	if diff := cmp.Diff(want, whole(t, json, "json")); diff != "" {
		t.Error(diff)
	}
}

// Artifacts of other builds are known once these are made.
func TestDecodedAgainAfterArtifact(t *testing.T) {
	text := `
source "fake" "a" { text = "a" }
source "fake" "b" {
  text = "b"
  both = artifact.first.a.id
}
build {
  name    = "first"
  sources = ["fake.a"]
}
build {
  name    = "second"
  sources = ["fake.b"]
  provisioner "fake" {
    text = "p"
    list = [artifact.first.a.id]
  }
}`
	want := map[string]int{"validate a": 1, "validate b": 2, "validate p": 2, "run p image-a": 1}
	if diff := cmp.Diff(want, whole(t, text, "hcl2")); diff != "" {
		t.Error(diff)
	}
}
