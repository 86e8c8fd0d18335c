package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kiln"
)

// resumed runs what an earlier run of a template left undone, and tells what was said,
// what ran and how it ended.
func resumed(t *testing.T, plan *Plan, layers *Layers, last map[string]kiln.BuildOutcome, all bool) (told string) {
	t.Helper()
	here.log = nil
	say, err := plan.Resume(t.Context(), Earlier{"run", last}, all, Options{Dir: ".", Layers: layers})
	if err != nil {
		return "refused: " + err.Error()
	}
	for _, r := range runPlan(t, plan, layers, 1) {
		if say = append(say, r.Name+" ends"); r.Err != nil {
			say[len(say)-1] = r.Name + ": " + r.Err.Error()
		}
	}
	return strings.Join(append(say, here.log...), "\n")
}

func outcomes(results []Result) map[string]kiln.BuildOutcome {
	all := map[string]kiln.BuildOutcome{}
	for _, r := range results {
		all[r.Name] = kiln.OutcomeSuccess
		if r.Err != nil {
			all[r.Name] = kiln.OutcomeFailed
		}
	}
	return all
}

// c needs b, and b needs a: what of them is done again follows from which failed.
func TestResumeChain(t *testing.T) {
	here = &world{things: map[string]bool{}}
	layers, err := OpenLayers(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	step := func(text, fails string) string {
		return fmt.Sprintf("  provisioner \"fake\" {\n    text  = %s\n    fails = %s\n  }\n", text, fails)
	}
	const before = "  provisioner \"fake\" { text = \"b on ${artifact.a.a.id}\" }\n"
	with := func(steps ...string) *Plan {
		text := strings.Replace(chained, "FAILS", "0", 1)
		return planOf(t, strings.Replace(text, before, strings.Join(steps, ""), 1))
	}
	last := outcomes(runPlan(t, with(step(`"b"`, "0")), layers, 0))
	got := resumed(t, with(step(`"b"`, "0")), layers, last, false)
	if got != "refused: there is nothing to resume: no build of run run was left undone" {
		t.Errorf("after a success: %s", got)
	}
	// b fails in its first step: it cannot be resumed.
	plan := func() *Plan { return with(step(`"no b"`, "9")) }
	last = outcomes(runPlan(t, plan(), layers, 0))
	got = resumed(t, plan(), layers, last, false)
	if got != "refused: b.fake.b cannot be resumed: it failed in its first step, and layers are kept after steps" {
		t.Errorf("nothing kept: %s", got)
	}
	// It fails in its second one, and c did not begin.
	broken := func(fails string) *Plan { return with(step(`"first"`, "0"), step(`"B on ${artifact.a.a.id}"`, fails)) }
	last = outcomes(runPlan(t, broken("9"), layers, 0))
	want := "a.fake.a succeeded in run run: it is left alone\nd.fake.d succeeded in run run: it is left alone\n" +
		"c.fake.c did not begin in run run: all of it is done\nc.fake.c ends\nb.fake.b ends\n" +
		"B on image-a.fake.a" // c has its layer
	got = resumed(t, broken("0"), layers, last, false)
	if sorted(got) != sorted(want) {
		t.Errorf("the chain:\n%s", got)
	}
	// What b needs is gone: it is made again, from its layer.
	last = outcomes(runPlan(t, broken("8"), layers, 0))
	here.drop("image-a.fake.a")
	got = resumed(t, broken("0"), layers, last, false)
	if !strings.Contains(got, "a.fake.a is made again: its artifact is needed") || !strings.Contains(got, "a.fake.a ends") {
		t.Errorf("what is needed is gone:\n%s", got)
	}
}

func sorted(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Whatever the run did not come to, or has changed since: it is resumed, or refused by name.
func TestResumeOne(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text := func(first, second, third string) string {
		return fmt.Sprintf("source \"fake\" \"x\" {}\nbuild {\n  sources = [\"fake.x\"]\n"+
			"  provisioner \"fake\" { text = %q }\n"+
			"  provisioner \"fake\" {\n    text = %q\n    file = %q\n  }\n"+
			"  provisioner \"fake\" {\n    text = %q\n    fails = %s\n  }\n}\n",
			first, second, file, strings.TrimLeft(third, "0123456789"), third[:1])
	}
	for _, c := range []struct {
		name  string
		do    func(l *Layers)
		next  string
		last  kiln.BuildOutcome
		limit int
		want  string
	}{
		{"it goes on", nil, text("one", "two", "0three"), "failed", 0, "fake.x ends\nthree"},
		{"it fails there again", nil, text("one", "two", "9three"), "failed", 0, "fake.x: three failed the time 1\nthree"},
		{"the step that failed is another", nil, text("one", "two", "0third"), "failed", 0, "fake.x ends\nthird"},
		{"it was killed", nil, text("one", "two", "0three"), "", 0, "fake.x ends\nthree"},
		{"an earlier step changed", nil, text("one", "2", "0three"), "failed", 0,
			"refused: fake.x cannot be resumed: step 2: text changed"},
		{"a file changed", func(*Layers) { write("new") }, text("one", "two", "0three"), "failed", 0,
			"refused: fake.x cannot be resumed: step 2: file " + file + " changed"},
		{"the last layer is gone", func(*Layers) { forget(2) }, text("one", "two", "0three"), "failed", 0,
			"fake.x ends\ntwo\nthree"},
		{"all layers are gone", func(*Layers) { forget(1); forget(2) }, text("one", "two", "0three"), "failed", 0,
			"refused: fake.x cannot be resumed: the layer after its step 2 is no longer there"},
		{"it did not begin", func(l *Layers) { os.RemoveAll(filepath.Join(l.dir, "builds")) },
			text("one", "two", "0three"), "", 0, "fake.x did not begin in run run: all of it is done\nfake.x ends\nthree"},
		{"no layers were wanted", func(l *Layers) { os.RemoveAll(filepath.Join(l.dir, "builds")) },
			text("one", "two", "0three"), "failed", 0,
			"refused: fake.x cannot be resumed: no layers were wanted in run run (-no-cache, KILN_CACHE=off)"},
		{"layers are too old for others", func(l *Layers) { l.MaxAge = 1 }, text("one", "two", "0three"), "failed", 0,
			"fake.x ends\nthree"},
	} {
		t.Run(c.name, func(t *testing.T) {
			here = &world{things: map[string]bool{}}
			write("old")
			layers, err := OpenLayers(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			layers.All = true
			if err := runPlan(t, planOf(t, text("one", "two", "9three")), layers, 0)[0].Err; err == nil {
				t.Fatal("it did not fail")
			}
			keptOf = layers
			if c.do != nil {
				c.do(layers)
			}
			got := resumed(t, planOf(t, c.next), layers, map[string]kiln.BuildOutcome{"fake.x": c.last}, false)
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// keptOf is whose layers forget is about.
var keptOf *Layers

// forget drops the layer after so many steps.
func forget(steps int) {
	all, _ := keptOf.Records()
	for key, r := range all {
		if len(r.Ran) == steps {
			here.drop("layer-" + string(key))
		}
	}
}

// A step may shut out whoever comes after it: the machine that starts from its layer lets
// nobody in, and is made without it.
func TestLockedOut(t *testing.T) {
	here = &world{things: map[string]bool{}}
	layers, err := OpenLayers(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	plan := func(last string) *Plan {
		return planOf(t, fmt.Sprintf("source \"fake\" \"x\" {}\nbuild {\n  sources = [\"fake.x\"]\n"+
			"  provisioner \"fake\" { text = \"one\" }\n  provisioner \"fake\" { text = \"shut\" }\n"+
			"  provisioner \"fake\" { text = %q }\n}\n", last))
	}
	runPlan(t, plan("a"), layers, 0)
	here.put("locked out")
	here.log = nil
	r := runPlan(t, plan("b"), layers, 0)[0]
	if got := strings.Join(here.log, " "); r.Err != nil || got != "one shut b" {
		t.Errorf("ran %q, %v", got, r.Err)
	}
	// It is kept again, as it would be without that.
	here.drop("locked out")
	here.log = nil
	r = runPlan(t, plan("c"), layers, 0)[0]
	if got := strings.Join(here.log, " "); r.Err != nil || got != "c" {
		t.Errorf("ran %q, %v", got, r.Err)
	}
	if left := here.list(); slices.Contains(left, "vm-fake.x") {
		t.Errorf("there are %q", left)
	}
}
