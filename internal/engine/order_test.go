package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kiln"
	"kiln/internal/journal"
	"kiln/internal/template"
	"kiln/internal/template/load"
)

// FindLayer makes the fake builder a store of layers.
func (f *builder) FindLayer(_ context.Context, b *kiln.Build) (int, *kiln.Artifact, error) {
	keys := b.Layers("source")
	for n := len(keys) - 1; n > 0; n-- {
		if keys[n] != "" && here.has("layer-"+string(keys[n])) {
			return n, b.Last(n), nil
		}
	}
	return 0, b.Last(0), nil
}

// KeptLayers is not asked for.
func (f *builder) KeptLayers(context.Context) ([]kiln.Layer, error) { return nil, nil }

// RemoveLayer removes one.
func (f *builder) RemoveLayer(_ context.Context, key kiln.LayerKey) error {
	here.drop("layer-" + string(key))
	return nil
}

// Stands makes it a finder.
func (f *builder) Stands(_ context.Context, r kiln.Resource) (bool, error) {
	return here.has(r.ID), nil
}

// chained is an HCL2 template: c needs b, b needs a, d needs nothing.
const chained = `
source "fake" "a" {}
source "fake" "b" { fail = artifact.a.a.id == "" ? "start" : "" }
source "fake" "c" {}
source "fake" "d" {}
build {
  name    = "c"
  sources = ["fake.c"]
  provisioner "fake" { text = "c on ${artifact.b.b.id}" }
}
build {
  name    = "b"
  sources = ["fake.b"]
  provisioner "fake" { text = "b on ${artifact.a.a.id}" }
}
build {
  name    = "a"
  sources = ["fake.a"]
  provisioner "fake" {
    text  = "a"
    fails = FAILS
  }
}
build {
  name    = "d"
  sources = ["fake.d"]
  provisioner "fake" { text = "d" }
}
`

func planOf(t *testing.T, text string) *Plan { t.Helper(); return planWith(t, text, components()) }

func planWith(t *testing.T, text string, c kiln.Components) *Plan {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.pkr.hcl")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	tmpl, diags := load.Template(t.Context(), template.Options{Path: path, Components: c, PackerVersion: "1.16.0", KilnVersion: "1"})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	builds, diags := tmpl.Builds(t.Context())
	plan, more := NewPlan(builds)
	if diags = append(diags, more...); diags.HasErrors() {
		t.Fatal(diags)
	}
	return plan
}

func runPlan(t *testing.T, plan *Plan, layers *Layers, parallel int) []Result {
	t.Helper()
	j := journal.New(t.TempDir(), "run", "-")
	results := Run(t.Context(), plan, Options{Run: "run", Dir: ".", OnError: "cleanup", Parallel: parallel, Journal: j, Layers: layers,
		Reaper: func(string) (kiln.Reaper, bool) { return new(builder), true }, Sink: func(kiln.Event) {}})
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	return results
}

func TestOrder(t *testing.T) {
	for _, parallel := range []int{0, 1, 2} {
		here = &world{things: map[string]bool{}}
		results := runPlan(t, planOf(t, strings.Replace(chained, "FAILS", "0", 1)), nil, parallel)
		for _, r := range results {
			if r.Err != nil {
				t.Errorf("%d at a time: %s: %v", parallel, r.Name, r.Err)
			}
		}
		at := func(text string) int { return slices.Index(here.log, text) }
		a, b, c := at("a"), at("b on image-a.fake.a"), at("c on image-b.fake.b")
		if a < 0 || b < a || c < b || at("d") < 0 {
			t.Errorf("%d at a time: %q", parallel, here.log)
		}
		if parallel == 1 && at("d") < a {
			t.Errorf("one at a time the first that can begin does: %q", here.log)
		}
	}
}

func TestOrderAfterFailure(t *testing.T) {
	here = &world{things: map[string]bool{}}
	results := runPlan(t, planOf(t, strings.Replace(chained, "FAILS", "9", 1)), nil, 0)
	var got []string
	for _, r := range results {
		got = append(got, fmt.Sprint(r.Name, ": ", r.Err))
	}
	want := []string{"c.fake.c: not started: it needs the artifact of b.fake.b, which failed", "b.fake.b: not started: it needs the artifact of a.fake.a, which failed",
		"a.fake.a: a failed the time 1", "d.fake.d: <nil>"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if left := here.list(); !slices.Equal(left, []string{"image-d.fake.d"}) {
		t.Errorf("there are %q", left)
	}
}

func TestForesee(t *testing.T) {
	here = &world{things: map[string]bool{}}
	layers, err := OpenLayers(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(chained, "FAILS", "0", 1)
	foresee := func(text string, layers *Layers) string {
		t.Helper()
		all, err := Foresee(t.Context(), planOf(t, text), Options{Dir: ".", Layers: layers})
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, f := range all {
			lines = append(lines, fmt.Sprintf("%s %s %s %d", f.Name, f.Steps[0].Layer, f.Steps[0].Reason, f.Runs))
		}
		return strings.Join(lines, "\n")
	}
	before := here.list()
	first := "a.fake.a miss first build of it here 1\nb.fake.b miss the start state changes 1\nc.fake.c miss the start state changes 1\nd.fake.d miss first build of it here 1"
	if got := foresee(text, layers); got != first {
		t.Errorf("before the first run:\n%s", got)
	}
	if !slices.Equal(before, here.list()) || len(here.log) > 0 {
		t.Errorf("a plan made something: %q %q", here.list(), here.log)
	}
	if got := foresee(text, nil); got != "a.fake.a none  1\nb.fake.b miss the start state changes 1\nc.fake.c miss the start state changes 1\nd.fake.d none  1" {
		t.Errorf("without layers:\n%s", got)
	}
	runPlan(t, planOf(t, text), layers, 0)
	if got := foresee(text, layers); got != "a.fake.a hit  0\nb.fake.b hit  0\nc.fake.c hit  0\nd.fake.d hit  0" {
		t.Errorf("after it:\n%s", got)
	}
	changed := strings.Replace(text, `"b on `, `"B on `, 1)
	if got := foresee(changed, layers); got != "a.fake.a hit  0\nb.fake.b miss text changed 1\nc.fake.c miss the start state changes 1\nd.fake.d hit  0" {
		t.Errorf("with a change:\n%s", got)
	}
}
