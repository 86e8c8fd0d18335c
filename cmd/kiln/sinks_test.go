package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kiln"
	"kiln/internal/history"
)

// A log that cannot be written is told once, and nothing fails for it.
func TestLostLogIsAWarning(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("SKIPPED, NOT TESTED: there is no /dev/full")
	}
	for name, prepare := range map[string]func(runs string) error{
		"full disk": func(runs string) error {
			if err := os.MkdirAll(filepath.Join(runs, "r"), 0o700); err != nil {
				return err
			}
			return os.Symlink("/dev/full", filepath.Join(runs, "r", "events.jsonl"))
		},
		"no folder": func(runs string) error { return os.WriteFile(runs, nil, 0o600) },
		"no record": func(runs string) error {
			return os.MkdirAll(filepath.Join(runs, "r", "run.json", "x"), 0o700)
		},
	} {
		dir := t.TempDir()
		if err := prepare(filepath.Join(dir, "runs")); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		p := newProgram(nil, &out, &errs)
		sinks, err := p.sinks(t.Context(), new(buildFlags), new(stage), dir, "r", &history.Record{Run: "r"})
		if err != nil {
			t.Fatal(name, err)
		}
		sinks.Event(kiln.Event{Kind: kiln.EventRunStart})
		for range 1000 {
			sinks.Event(kiln.Event{Kind: kiln.EventOut, Build: "a", Text: "line"})
		}
		if err := sinks.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		const told = "Warning: the log or the history of this run is not complete"
		if n := strings.Count(errs.String(), told); n != 1 {
			t.Errorf("%s: told %d times: %s", name, n, &errs)
		}
	}
}

func TestAgain(t *testing.T) {
	for _, c := range []struct {
		path, want string
		args       []string
	}{
		{"t.json", "t.json", []string{"t.json"}},
		{"t.json", "-var a=b -var-file=x 'my t.json'", []string{"-var", "a=b", "-var-file=x", "my t.json"}},
		{"t.json", "-force t.json", []string{"--on-error=abort", "-force", "-on-error", "cleanup", "t.json"}},
		{"t.json", "'-var=a=b c' -only=x t.json",
			[]string{"-output=plain", "-var=a=b c", "-junit=j.xml", "-only=x", "-properties", "p", "t.json"}},
		{"-", "", []string{"-"}},
	} {
		f := buildFlags{path: c.path, args: c.args}
		if have := f.again(); have != c.want {
			t.Errorf("%q: got %q, want %q", c.args, have, c.want)
		}
	}
}

func TestOfTemplate(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.MkdirAll(at("project/sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("project/a.pkr.hcl"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(at("project"), at("link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, run string
		want      bool
	}{
		{"project", "project", true}, {"project/", "project", true}, {"project", "project/a.pkr.hcl", true},
		{"project", "project/sub", true}, {"project/a.pkr.hcl", "project", true}, {"project/sub", "project", false},
		{"project/a.pkr.hcl", "project/b.pkr.hcl", false}, {"project", "project2", false},
		{"link", "project/a.pkr.hcl", true}, {"gone.pkr.hcl", "gone.pkr.hcl", true},
	} {
		wanted, err := ofTemplate(at(c.path))
		if err != nil || wanted(at(c.run)) != c.want {
			t.Errorf("-template %s and a run of %s: not %v, %v", c.path, c.run, c.want, err)
		}
	}
}
