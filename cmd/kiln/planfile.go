package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"kiln"
	"kiln/internal/engine"
	"kiln/internal/home"
	"kiln/internal/template"
	"kiln/internal/template/load"
)

// maxPlan bounds the size of a file that is looked at for a plan.
const maxPlan = 1 << 30

// readPlan reads a plan that `kiln plan -out` wrote; nil: path is something else.
func readPlan(path string) (*engine.PlanFile, error) {
	if path == "-" || template.IsHCL(path) {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil // the template's reader says so
	}
	defer f.Close()
	in := bufio.NewReader(f)
	if begin, _ := in.Peek(64); !bytes.HasPrefix(bytes.TrimSpace(begin), []byte(`{"kiln_plan"`)) {
		return nil, nil
	}
	text, err := io.ReadAll(io.LimitReader(in, maxPlan))
	if err != nil {
		return nil, err
	}
	plan, err := engine.ReadPlanFile(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return plan, nil
}

// writePlan writes a plan for `kiln build`.
func (p *program) writePlan(path string, t *template.Template, plan *engine.Plan) error {
	bundle, err := t.Bundle()
	if err != nil {
		return err
	}
	f, err := engine.NewPlanFile(plan, bundle, kilnVersion, p.start, p.redactor.Marshal)
	if err != nil {
		return err
	}
	// The bundle holds no secret, and must stay as it is; the rest is masked by now.
	if err := onTemplate(path, t, bundle); err != nil {
		return err
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	j := p.owning(t.Path)
	defer j.close(p)
	if err := kiln.WriteOwned(j, path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	return nil
}

// onTemplate refuses to write a plan where it would take the place of what it is made of,
// or where `kiln build` would take it for a template.
func onTemplate(path string, t *template.Template, bundle *template.Bundle) error {
	if template.IsHCL(path) {
		return fmt.Errorf("-out %s: by its name this is a template, and could not be run as a plan", path)
	}
	here, err := os.Stat(path)
	if err != nil {
		return nil
	}
	files := []string{t.Path}
	for _, f := range bundle.Outside.Files {
		files = append(files, f.Path)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && os.SameFile(here, info) {
			return fmt.Errorf("-out %s: the plan is made of this file", path)
		}
	}
	return nil
}

// loadPlan loads what a plan file holds, and goes to the folder that it was made in:
// relative paths of files that steps use begin there.
func (p *program) loadPlan(
	ctx context.Context,
	f *engine.PlanFile,
	o template.Options,
) (*template.Template, error) {
	if len(o.Only) > 0 || len(o.Except) > 0 {
		return nil, errors.New("a plan says which builds run: -only and -except go with `plan -out`")
	}
	for _, pair := range o.Vars {
		name, _, _ := strings.Cut(pair, "=")
		if _, secret := f.Bundle.Secrets[name]; !secret {
			return nil, fmt.Errorf(
				"-var %s: the plan has its value already, or knows no such variable: only what was secret is given again",
				name,
			)
		}
	}
	if err := os.Chdir(f.Bundle.Outside.Cwd); err != nil {
		return nil, fmt.Errorf("the folder in which the plan was made: %w", err)
	}
	if err := f.CheckFiles(); err != nil {
		return nil, err
	}
	t, diags := load.FromBundle(ctx, f.Bundle, o)
	return t, p.show(diags)
}

// notAPlan refuses a plan where a template is wanted.
func notAPlan(path string) error {
	if plan, err := readPlan(path); plan != nil || err != nil {
		return fmt.Errorf(
			"%s is a plan that `plan -out` wrote: `build` runs it, and shows what it does",
			path,
		)
	}
	return nil
}

// bundleName is the file in a run's folder with what its clean-up may need.
const bundleName = "bundle.json"

// keepBundle keeps the run's own copy of its template and of all values that are not
// secret, for a clean-up by another process.
func (p *program) keepBundle(path string, t *template.Template) error {
	bundle, err := t.Bundle()
	if err != nil {
		return err
	}
	text, err := json.Marshal(bundle)
	if err != nil {
		return err
	}
	return kiln.WriteFile(path, text, 0o600)
}

// runBundle reads that copy.
func runBundle(path string) (*template.Bundle, error) {
	text, err := home.ReadFile(path)
	if err != nil {
		return nil, err
	}
	b := new(template.Bundle)
	if err := json.Unmarshal(text, b); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return b, nil
}
