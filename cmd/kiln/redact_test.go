package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kiln"
	"kiln/internal/engine"
	"kiln/internal/history"
	"kiln/internal/redact"
	"kiln/internal/template"
	"kiln/internal/ui"
)

// shapes are a secret in the forms in which it may reach an output.
func shapes(secret string) []string {
	quoted, _ := json.Marshal(secret)
	return []string{secret, url.QueryEscape(secret), url.PathEscape(secret), string(quoted),
		fmt.Sprintf("%q", secret), fmt.Sprintf("%x", secret),
		"'" + strings.ReplaceAll(secret, "'", `'\''`) + "'", base64.StdEncoding.EncodeToString([]byte(secret)),
		base64.URLEncoding.EncodeToString([]byte("user:" + secret + "@host"))}
}

// TestNoOutputShowsASecret sends secrets through every way out of the program.
func TestNoOutputShowsASecret(t *testing.T) {
	secrets := []string{"s3cr3t", "pa ss'wo\"rd$x`y\\z,1", "first-line-abc\nsecond-line-def"}
	var all []string
	for _, s := range secrets {
		all = append(all, shapes(s)...)
	}
	for _, machine := range []bool{false, true} {
		dir := t.TempDir()
		t.Setenv("KILN_LOG_PATH", filepath.Join(dir, "log.txt"))
		var out, errs bytes.Buffer
		p := newProgram(nil, &out, &errs)
		p.machine = machine
		for _, s := range secrets {
			p.redactor.Add(s)
		}
		for _, text := range all {
			printEverywhere(t, p, text)
		}
		f := &buildFlags{junit: filepath.Join(dir, "j.xml"), properties: filepath.Join(dir, "p.properties"),
			output: choice{value: "plain"}}
		runEverywhere(t, p, f, dir, all)
		f.output.value = "json"
		runEverywhere(t, p, f, dir, all)
		live := p.events(ui.NewLive(p.out, ui.LiveOptions{Every: -1,
			Now: func() time.Time { return time.Unix(1, 0) }}))
		sendAll(live, all)
		p.flush()
		shown := map[string]string{"standard output": out.String(), "standard error": errs.String()}
		filepath.WalkDir(dir, func(path string, _ os.DirEntry, _ error) error {
			if text, err := os.ReadFile(path); err == nil {
				shown[path] = string(text)
			}
			return nil
		})
		if len(shown) != 7 { // two outputs, log, JUnit, properties, events, record
			t.Errorf("outputs: %d", len(shown))
		}
		for name, text := range shown {
			for _, s := range all {
				if strings.Contains(text, s) {
					t.Errorf("%s shows %q", name, s)
				}
			}
			if !strings.Contains(text, "sensitive") {
				t.Errorf("nothing was masked in %s", name)
			}
		}
	}
}

// printEverywhere uses each function that prints.
func printEverywhere(t *testing.T, p *program, text string) {
	t.Helper()
	p.say("said %s", text)
	p.fail("failed %s", text)
	p.warn(errors.New(text))
	p.record(text, "kind", text, "x,"+text)
	p.report(errors.New(text))
	p.report(wordedf("worded %s", text))
	_ = p.show(template.Errorf(text, text))
	_ = p.show(template.Diagnostics{{Summary: text, Detail: text}})
	p.announce(text)
	long := engine.Planned{Type: text, Settings: map[string]any{"x": strings.Repeat("0", 150) + text, text: 1}}
	if err := p.planJSON([]engine.Forecast{{PlannedBuild: engine.PlannedBuild{Name: text, Builder: long}}}); err != nil {
		t.Error(err)
	}
	p.say("%s", redact.Render(p.redactor, engine.Forecast{PlannedBuild: engine.PlannedBuild{Name: text, Builder: long}},
		func(f engine.Forecast) string { return planText(1, f) }))
	for _, v := range []any{text, object{"x": text}, []any{map[string]any{text: text}},
		[]*history.Change{{Old: text}}} {
		if err := p.json(v); err != nil {
			t.Error(err)
		}
	}
	// In two writes, too.
	fmt.Fprint(p.out, text[:len(text)/2])
	fmt.Fprint(p.out, text[len(text)/2:])
	fmt.Fprint(keys{p.errs}, text+"\n")
}

// runEverywhere sends a run to the sinks of a build.
func runEverywhere(t *testing.T, p *program, f *buildFlags, dir string, all []string) {
	t.Helper()
	record := &history.Record{Run: "r", Command: all}
	for i, s := range all {
		record.Builds = append(record.Builds, &history.Build{Name: buildName(i, s),
			Settings: map[string]any{"x": s, s: []string{s}},
			Steps:    []*history.Step{{Name: s}}})
	}
	sinks, err := p.sinks(t.Context(), f, dir, "r", record, nil)
	if err != nil {
		t.Fatal(err)
	}
	sendAll(sinks, all)
	if record.Result != "failed" || record.Builds[0].Result != "failed" ||
		record.Builds[len(all)-1].Steps[0].Error == "" {
		t.Errorf("the record was not filled in: %+v", record.Builds[0])
	}
}

func buildName(i int, secret string) string { return fmt.Sprintf("%d. %s", i, secret) }

// sendAll sends events of every kind with a secret in each text.
func sendAll(sink ui.Sink, all []string) {
	var names []string
	for i, s := range all {
		names = append(names, buildName(i, s))
	}
	sink.Event(kiln.Event{Run: "r", Kind: kiln.EventRunStart, Text: "v", Data: names})
	for i, s := range all {
		for _, kind := range []kiln.EventKind{kiln.EventBuildStart, kiln.EventPhase, kiln.EventStepStart,
			kiln.EventSay, kiln.EventOut,
			kiln.EventErr, kiln.EventWarn, kiln.EventError, kiln.EventProgress, kiln.EventLayer, kiln.EventPrompt,
			kiln.EventStepEnd,
			kiln.EventArtifact, kiln.EventLeft, kiln.EventBuildEnd} {
			sink.Event(kiln.Event{Kind: kind, Build: names[i], Component: "provisioner." + s, Step: 1, Text: s,
				Error: s, Total: 2, Done: 1,
				Data: []string{s}, Result: kiln.OutcomeFailed,
				Resource: &kiln.Resource{Kind: "file", ID: s, Attrs: map[string]string{s: s}},
				Artifact: &kiln.Artifact{ID: s, Text: s, Files: []string{s}, Tags: []string{s}}})
		}
	}
	sink.Event(kiln.Event{Kind: kiln.EventRunEnd, Result: "failed", Data: all})
	_ = sink.Close()
}

// TestShortSecretsLeaveSyntax keeps machines reading where a secret is a word of theirs.
func TestShortSecretsLeaveSyntax(t *testing.T) {
	var out bytes.Buffer
	p := newProgram(nil, &out, &out)
	p.machine = true
	for _, s := range []string{"1", "ui", "say", ",", `"`, "version"} {
		p.redactor.Add(s)
	}
	p.say("at 1, say")
	if fields := strings.Split(out.String(), ","); len(fields) != 5 || fields[2] != "ui" || fields[3] != "say" ||
		!strings.HasPrefix(fields[4], "at <sensitive><sensitive> <sensitive>") {
		t.Errorf("%q", &out)
	}
	out.Reset()
	var doc struct{ Version int }
	if err := p.planJSON(nil); err != nil || json.Unmarshal(out.Bytes(), &doc) != nil ||
		doc.Version != planVersion {
		t.Errorf("%v: %s", err, &out)
	}
}
