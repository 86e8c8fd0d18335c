package main

import (
	"os"
	"path/filepath"

	"kiln"
	"kiln/internal/engine"
	"kiln/internal/history"
	"kiln/internal/template"
)

// newRecord is the record of a run before it begins. Hash may be nil: secrets are not
// compared.
func (p *program) newRecord(
	run string,
	t *template.Template,
	plan *engine.Plan,
	hash *engine.Hasher,
) *history.Record {
	path, err := filepath.Abs(t.Path)
	if err != nil || t.Path == "-" {
		path = t.Path
	}
	r := &history.Record{Run: run, Time: p.start, Kiln: kilnVersion, Template: path, Command: os.Args[1:]}
	for i, planned := range plan.Describe() {
		components := plan.Builds[i].Template
		b := &history.Build{Name: planned.Name, Type: planned.Builder.Type, Settings: settings(planned.Builder)}
		b.Digests = digests(hash, components.Builder)
		for n, s := range planned.Steps {
			b.Steps = append(b.Steps, &history.Step{Component: "provisioner." + s.Type, Name: s.Name,
				Settings: settings(s), Digests: digests(hash, components.Provisioners[n].Component)})
		}
		for c, chain := range planned.Chains {
			for n, s := range chain {
				b.Steps = append(b.Steps, &history.Step{Component: "post-processor." + s.Type, Name: ownName(s),
					Settings: settings(s), Digests: digests(hash, components.Chains[c][n].Component)})
			}
		}
		r.Builds = append(r.Builds, b)
	}
	return r
}

func digests(hash *engine.Hasher, c *template.Component) history.Digests {
	if hash == nil {
		return nil
	}
	return hash.Options(c)
}

// settings are the options of a component. Those that are known only while the build
// runs are there as the template has them.
func settings(c engine.Planned) map[string]any {
	texts := map[string]string{}
	for _, u := range c.Unknown {
		if c.Settings[u.Option] == kiln.Masked || u.Text == "" {
			continue
		}
		if texts[u.Option] != "" {
			texts[u.Option] += "\n" // of a repeated block
		}
		texts[u.Option] += u.Text
		c.Settings[u.Option] = map[string]any{history.Expression: texts[u.Option]}
	}
	return c.Settings
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
