package history

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kiln"
)

func record(run string) *Record {
	return &Record{Run: run, Template: "/t", Builds: []*Build{{Name: "a", Type: "docker",
		Settings: map[string]any{"image": "x"},
		Steps: []*Step{{Component: "provisioner.shell", Settings: map[string]any{"inline": []any{"a"}},
			Inputs: map[string]string{"file s": "11", "inline": "22"}}}}}}
}

func TestStore(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	if _, err := s.Find("last"); err == nil || !strings.Contains(err.Error(), "no runs yet") {
		t.Errorf("an empty store: %v", err)
	}
	for _, run := range []string{"20260101-000000-aaaa", "20260102-000000-bbbb", "20260103-000000-aabb"} {
		r, err := NewRecorder(s, record(run), 10)
		if err != nil {
			t.Fatal(err)
		}
		r.Event(kiln.Event{Kind: kiln.EventLayer, Build: "a", Step: 1, Text: "hit"})
		r.Event(kiln.Event{Kind: kiln.EventStepEnd, Build: "a", Step: 1, Seconds: 2})
		r.Event(kiln.Event{Kind: kiln.EventStepEnd, Build: "a", Step: 99, Seconds: 2})
		r.Event(kiln.Event{Kind: kiln.EventArtifact, Build: "a", Artifact: &kiln.Artifact{ID: "i"}})
		r.Event(kiln.Event{Kind: kiln.EventBuildEnd, Build: "a", Seconds: 3, Result: kiln.OutcomeSuccess})
		r.Event(kiln.Event{Kind: kiln.EventBuildEnd, Build: "other"})
		r.Event(kiln.Event{Kind: kiln.EventRunEnd, Seconds: 4, Result: kiln.OutcomeSuccess})
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for word, want := range map[string]string{"last": "20260103-000000-aabb", "-1": "20260103-000000-aabb",
		"-3": "20260101-000000-aaaa", "bbbb": "20260102-000000-bbbb", "20260102": "20260102-000000-bbbb",
		"-4": "!there are 3 runs", "zz": "!no run", "2026": "!fits 3 runs", "-x": "!no run"} {
		got, err := s.Find(word)
		if text, bad := strings.CutPrefix(want, "!"); bad && (err == nil || !strings.Contains(err.Error(), text)) ||
			!bad && got != want {
			t.Errorf("%s: %q, %v", word, got, err)
		}
	}
	r, err := s.Load("20260103-000000-aabb")
	if err != nil || r.Result != "success" || r.Builds[0].Steps[0].Layer != "hit" ||
		r.Builds[0].Artifacts[0] != "i" || r.Builds[0].Steps[0].Seconds != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	// A folder without a record, such as one of an earlier version, is passed over.
	os.MkdirAll(filepath.Join(s.Dir, "20270101-old"), 0o755)
	if err := s.Trim(2); err != nil {
		t.Fatal(err)
	}
	if runs, _ := s.Runs(); fmt.Sprint(runs) != "[20260103-000000-aabb 20260102-000000-bbbb]" {
		t.Errorf("%v", runs)
	}
}

func TestDiff(t *testing.T) {
	a, b := record("1"), record("2")
	if d := Diff(a, b); len(d) != 0 {
		t.Errorf("%+v", d)
	}
	b.Template, b.Result = "/u", "failed"
	b.Builds[0].Settings["image"] = "y"
	b.Builds[0].Settings["commit"] = true
	b.Builds[0].Steps[0].Inputs = map[string]string{"file s": "33", "inline": "44"}
	b.Builds[0].Steps[0].Seconds = 5
	b.Builds[0].Steps = append(b.Builds[0].Steps, &Step{Component: "provisioner.file"})
	b.Builds = append(b.Builds, &Build{Name: "new"})
	a.Builds = append(a.Builds, &Build{Name: "old"})
	var got []string
	for _, c := range Diff(a, b) {
		got = append(got, fmt.Sprintf("%s|%s|%s|%s", c.Where, c.What, c.Old, c.New))
	}
	want := []string{`|template|/t|/u`, `|result|did not end|failed`, `old|build|there|gone`, `a|commit||true`,
		`a|image|"x"|"y"`,
		`a, step 1 (provisioner.shell)|content of s|11|33`, `a, step 1 (provisioner.shell)|time|0.00s|`,
		`a, step 2|step||provisioner.file`, `new|build||new`}
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
}

// What differs and is not shown is told, and what was not known is shown as it is written.
func TestDiffHidden(t *testing.T) {
	a, b := record("1"), record("2")
	for i, r := range []*Record{a, b} {
		r.Builds[0].Settings["login_password"] = kiln.Masked
		r.Builds[0].Digests = Digests{"login_password": fmt.Sprint("p", i), "image": "same"}
		step := r.Builds[0].Steps[0]
		step.Settings["inline"] = map[string]any{Expression: fmt.Sprintf(`["%d ${build.ID}"]`, i)}
		step.Digests = Digests{"inline": fmt.Sprint("i", i)}
	}
	var got []string
	for _, c := range Diff(a, b) {
		got = append(got, fmt.Sprintf("%s|%s|%s|%s", c.Where, c.What, c.Old, c.New))
	}
	want := []string{
		`a|login_password|"<sensitive>"|"<sensitive>" (another one: what is hidden differs)`,
		`a, step 1 (provisioner.shell)|inline|["0 ${build.ID}"]|["1 ${build.ID}"]`,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q", got)
	}
	a.Builds[0].Digests = nil // of an earlier version
	if len(Diff(a, b)) != 1 {
		t.Errorf("%v", Diff(a, b))
	}
}

// A run that did not come to its end is running, or was killed.
func TestRead(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	rec, err := NewRecorder(s, record("run1"), 10)
	if err != nil {
		t.Fatal(err)
	}
	release, err := s.Hold(t.Context(), "run1")
	if err != nil {
		t.Fatal(err)
	}
	end := kiln.Event{Kind: kiln.EventBuildEnd, Build: "a", Result: kiln.OutcomeSuccess}
	replay := func(r *Resumed) error { r.Event(end); return r.Close() }
	r, err := s.Read("run1", replay)
	if err != nil || r.Result != Running || r.Builds[0].Result != "success" {
		t.Errorf("%+v, %v", r, err)
	}
	if saved, err := s.Load("run1"); err != nil || saved.Result != "" {
		t.Errorf("who reads changed a run that goes on: %+v, %v", saved, err)
	}
	if err := s.Trim(0); err != nil {
		t.Fatal(err)
	}
	release()
	r, err = s.Read("run1", replay)
	if err != nil || r.Result != Killed {
		t.Errorf("%+v, %v", r, err)
	}
	rec.Event(kiln.Event{Kind: kiln.EventRunEnd, Result: kiln.OutcomeFailed})
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Read("run1", replay); err != nil || r.Result != "failed" {
		t.Errorf("%+v, %v", r, err)
	}
}

// Of next to no time everything is many times: that is no percentage.
func TestDiffOfTimes(t *testing.T) {
	for _, c := range []struct {
		old, now float64
		want     string
	}{{0, 0.9, "0.90s"}, {1e-9, 0.86, "0.86s"}, {2, 3, "3.00s (+50%)"}} {
		a, b := record("1"), record("2")
		a.Seconds, b.Seconds = c.old, c.now
		d := Diff(a, b)
		if len(d) != 1 || d[0].What != "time" || d[0].New != c.want {
			t.Errorf("%v: %+v", c, d)
		}
	}
}

// What the error-cleanup-provisioner came to is not that of a post-processor, which has the
// same number.
func TestCleanupIsNoStep(t *testing.T) {
	s, r := Store{Dir: t.TempDir()}, record("1")
	b := r.Builds[0]
	b.Steps = append(b.Steps[:1:1], &Step{Component: "post-processor.manifest"})
	rec, err := NewRecorder(s, r, 10)
	if err != nil {
		t.Fatal(err)
	}
	rec.Event(kiln.Event{Kind: kiln.EventStepEnd, Build: b.Name, Component: "error-cleanup-provisioner.shell", Step: 2,
		Seconds: 3, Error: "exit code 4"})
	if b.Steps[1].Error != "" || b.Steps[1].Seconds != 0 {
		t.Errorf("%+v", b.Steps[1])
	}
}
