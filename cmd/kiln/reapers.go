package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"kiln"
	"kiln/internal/home"
	"kiln/internal/template"
	"kiln/internal/template/load"
	"kiln/schema"
)

// reapers finds who destroys what dead runs left: the component as the run had it
// configured, from the run's own copy of its template.
type reapers struct {
	ctx   context.Context
	p     *program
	flags templateFlags // with the secrets that were given again
	home  string
	known map[string]*reapedRun
}

func newReapers(ctx context.Context, p *program, dir string, vars pairs, varFiles texts) *reapers {
	return &reapers{ctx: ctx, p: p, flags: templateFlags{vars: vars, varFiles: varFiles},
		home: dir, known: map[string]*reapedRun{}}
}

// reapedRun is what is known of one run.
type reapedRun struct {
	builds []*template.Build
	err    error // why the builds are not known
}

// reaper answers for [journal.Cleaner].
func (r *reapers) reaper(run, build, owner string) (kiln.Reaper, error) {
	plain, ok := reaper(owner)
	if !ok {
		return nil, fmt.Errorf("this program has no component %q", owner)
	}
	if owner == "" || kiln.TraitsOf(plain).ReapsAlone {
		return plain, nil
	}
	known := r.known[run]
	if known == nil {
		known = r.read(run)
		r.known[run] = known
	}
	if known.err != nil {
		return nil, fmt.Errorf("%s needs its configuration to do that: %w", owner, known.err)
	}
	for _, b := range known.builds {
		if b.Name != build {
			continue
		}
		for _, c := range b.Components() {
			if c.Kind+"."+c.Type != owner {
				continue
			}
			component, diags := c.Decode(nil)
			if diags.HasErrors() {
				return nil, fmt.Errorf("%s needs its configuration to do that: %w", owner, diagnosticError(diags))
			}
			if configured, ok := component.(kiln.Reaper); ok {
				return configured, nil
			}
		}
	}
	return nil, fmt.Errorf(
		"%s needs its configuration to do that, and the run has no such component in %s",
		owner,
		build,
	)
}

// read loads a run's own copy of its template, with the secrets that were given again.
func (r *reapers) read(run string) *reapedRun {
	dir, err := home.Run(r.home, run)
	if err != nil {
		return &reapedRun{err: err}
	}
	b, err := runBundle(filepath.Join(dir, bundleName))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("the copy of the template that run %s kept is gone", run)
	}
	if err != nil {
		return &reapedRun{err: err}
	}
	flags := r.flags
	// What was given for other runs' templates is not this one's.
	flags.vars = slices.DeleteFunc(slices.Clone(flags.vars),
		func(pair string) bool { return !declares(b, pair) })
	t, diags := load.FromBundle(r.ctx, b, flags.options(r.ctx, r.p, b.Path))
	if diags.HasErrors() {
		return &reapedRun{err: diagnosticError(diags)}
	}
	builds, diags := t.Builds(r.ctx)
	if diags.HasErrors() {
		return &reapedRun{err: diagnosticError(diags)}
	}
	return &reapedRun{builds: builds}
}

// declares reports whether the template of a bundle has the variable of name=value.
func declares(b *template.Bundle, pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	_, plain := b.Variables[name]
	_, secret := b.Secrets[name]
	if plain || secret || b.Format != template.JSON {
		return plain || secret
	}
	// Of JSON the bundle has the variables that were given; the others stand in the text.
	for _, f := range b.Outside.Files {
		if f.Secret || bytes.Contains(f.Text, []byte(strconv.Quote(name))) {
			return true
		}
	}
	return false
}

// checkVars refuses variables that the templates of none of the runs have. A run whose copy
// of its template cannot be read may have any.
func (r *reapers) checkVars(runs []string) error {
	var secrets []string
	left := slices.Clone(r.flags.vars)
	for _, run := range runs {
		dir, err := home.Run(r.home, run)
		if err != nil {
			return nil
		}
		b, err := runBundle(filepath.Join(dir, bundleName))
		if err != nil {
			return nil
		}
		left = slices.DeleteFunc(left, func(pair string) bool { return declares(b, pair) })
		secrets = slices.AppendSeq(secrets, maps.Keys(b.Secrets))
	}
	if len(left) == 0 || len(runs) == 0 {
		return nil
	}
	slices.Sort(secrets)
	secrets = slices.Compact(secrets)
	name, _, _ := strings.Cut(left[0], "=")
	hint := "no secret is needed again"
	if near := schema.Suggest(name, secrets); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	} else if len(secrets) > 0 {
		hint = "the secrets that may be needed again are " + strings.Join(secrets, ", ")
	}
	return fmt.Errorf("-var %s: no template of these runs has such a variable: %s", name, hint)
}

// diagnosticError is what is wrong as one line.
func diagnosticError(diags template.Diagnostics) error {
	var texts []string
	for _, d := range diags {
		if d.Severity == template.Error {
			texts = append(texts, strings.Join(strings.Fields(d.Summary+": "+d.Detail), " "))
		}
	}
	return errors.New(strings.Join(texts, "; "))
}
