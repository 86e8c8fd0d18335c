package main

import (
	"os"
	"path/filepath"

	"kiln/internal/engine"
	"kiln/internal/history"
	"kiln/internal/template"
)

// newRecord is the record of a run before it begins.
func (p *program) newRecord(run string, t *template.Template, plan *engine.Plan) *history.Record {
	path, err := filepath.Abs(t.Path)
	if err != nil || t.Path == "-" {
		path = t.Path
	}
	r := &history.Record{Run: run, Time: p.start, Kiln: kilnVersion, Template: path, Command: os.Args[1:]}
	for _, planned := range plan.Describe() {
		b := &history.Build{Name: planned.Name, Type: planned.Builder.Type, Settings: planned.Builder.Settings}
		for _, s := range planned.Steps {
			b.Steps = append(
				b.Steps,
				&history.Step{Component: "provisioner." + s.Type, Name: s.Name, Settings: s.Settings},
			)
		}
		for _, chain := range planned.Chains {
			for _, s := range chain {
				b.Steps = append(
					b.Steps,
					&history.Step{Component: "post-processor." + s.Type, Name: ownName(s), Settings: s.Settings},
				)
			}
		}
		r.Builds = append(r.Builds, b)
	}
	return r
}

// ownName is a component's name where the template gives it one.
func ownName(c engine.Planned) string {
	if c.Name == c.Type {
		return ""
	}
	return c.Name
}

// keepInputs puts what the steps depended on into the record.
func keepInputs(r *history.Record, results []engine.Result) {
	for _, result := range results {
		for _, b := range r.Builds {
			if b.Name != result.Name {
				continue
			}
			for n, in := range result.Inputs[:min(len(result.Inputs), len(b.Steps))] {
				b.Steps[n].Inputs = in
			}
		}
	}
}
