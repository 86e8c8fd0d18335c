package main

import (
	"os"
	"path/filepath"

	"kiln/internal/engine"
	"kiln/internal/history"
	"kiln/internal/template"
	"kiln/schema"
)

// newRecord is the record of a run before it begins.
func (p *program) newRecord(run string, t *template.Template, plan *engine.Plan) *history.Record {
	path, err := filepath.Abs(t.Path)
	if err != nil || t.Path == "-" {
		path = t.Path
	}
	r := &history.Record{Run: run, Time: p.start, Kiln: kilnVersion, Template: path, Command: os.Args[1:]}
	for _, j := range plan.Builds {
		b := &history.Build{Name: j.Template.Name, Type: j.Template.Builder.Type,
			Settings: settings(j.Template.Builder)}
		for _, s := range j.Template.Provisioners {
			b.Steps = append(b.Steps, &history.Step{Component: "provisioner." + s.Type, Name: s.Name,
				Settings: settings(s.Component)})
		}
		for _, chain := range j.Template.Chains {
			for _, s := range chain {
				b.Steps = append(b.Steps, &history.Step{Component: "post-processor." + s.Type,
					Name: ownName(s.Component), Settings: settings(s.Component)})
			}
		}
		r.Builds = append(r.Builds, b)
	}
	return r
}

// ownName is a component's name where the template gives it one.
func ownName(c *template.Component) string {
	if c.Name == c.Type {
		return ""
	}
	return c.Name
}

// settings are a component's, as far as they are known.
func settings(c *template.Component) map[string]any {
	component, _ := c.Decode(nil)
	return schema.Settings(component)
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
