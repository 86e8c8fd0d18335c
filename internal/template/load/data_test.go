package load

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kiln"
	"kiln/internal/template"
)

// slow is a data source that waits for others to be read beside it.
type slow struct {
	Text string `kiln:"text"`
	Need int    `kiln:"need"` // how many must be under way at the same time
	all  *slowState
}

type slowState struct{ running, most, reads atomic.Int32 }

type slowOutput struct {
	Text string `kiln:"text"`
}

func (s *slow) Traits() kiln.Traits { return kiln.Traits{Shape: slowOutput{}} }

func (s *slow) Read(ctx context.Context) (any, error) {
	s.all.reads.Add(1)
	n := s.all.running.Add(1)
	defer s.all.running.Add(-1)
	for s.all.most.Load() < n {
		s.all.most.CompareAndSwap(s.all.most.Load(), n)
	}
	deadline := time.Now().Add(time.Minute)
	for int(s.all.most.Load()) < s.Need && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	return slowOutput{s.Text}, nil
}

func load(t *testing.T, text string, change func(*template.Options)) (*template.Template, []*template.Build,
	string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.pkr.hcl")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	o := testOptions(path)
	if change != nil {
		change(&o)
	}
	tpl, diags := Template(t.Context(), o)
	var builds []*template.Build
	if !diags.HasErrors() {
		var more template.Diagnostics
		builds, more = tpl.Builds(t.Context())
		diags = append(diags, more...)
	}
	for _, b := range builds {
		diags = append(diags, b.Check()...)
	}
	var b strings.Builder
	diags.Write(&b, template.WriteOptions{})
	return tpl, builds, b.String()
}

func TestDataSideBySide(t *testing.T) {
	state := &slowState{}
	with := func(o *template.Options) {
		o.Components.DataSources["slow"] = func() kiln.DataSource { return &slow{all: state} }
	}
	text := `
data "slow" "a" {
  text = "a"
  need = 3
}
data "slow" "b" {
  text = local.b
  need = 3
}
data "slow" "c" {
  text = "c"
  need = 3
}
data "slow" "d" { text = "${data.slow.a.text}${data.slow.b.text}" }
locals {
  b   = "b"
  all = "${data.slow.c.text}-${data.slow.d.text}"
}
source "fake" "x" { text = local.all }
build { sources = ["fake.x"] }
`
	_, builds, said := load(t, text, with)
	if len(builds) != 1 {
		t.Fatal(said)
	}
	c, _ := builds[0].Builder.Decode(nil)
	if got := c.(*fake).Text; got != "c-ab" || state.reads.Load() != 4 || state.most.Load() < 3 {
		t.Errorf("%q, %d read, %d at a time", got, state.reads.Load(), state.most.Load())
	}
	// Without being asked their type is known: a wrong name is found.
	_, _, said = load(t, strings.Replace(text, "data.slow.d.text", "data.slow.d.txt", 1),
		func(o *template.Options) { with(o); o.EvaluateData = false })
	if !strings.Contains(said, `does not have an attribute named "txt"`) || state.reads.Load() != 4 {
		t.Errorf("%d read: %s", state.reads.Load(), said)
	}
	_, builds, said = load(t, text, func(o *template.Options) { with(o); o.EvaluateData = false })
	if len(builds) != 1 || len(builds[0].Builder.Unknown()) != 1 ||
		builds[0].Builder.Unknown()[0].From[0] != "local.all" {
		t.Errorf("%s", said)
	}
}
