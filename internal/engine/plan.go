// Package engine makes images: it runs the builds of a template side by side,
// each on its path of start, connect, provision, capture and post-process, and
// sees to it that nothing is left behind on any way out.
package engine

import (
	"kiln/internal/template"
)

// Plan is what a run would do: the builds that can be made.
type Plan struct {
	Builds []*Job
	stands map[string]bool // builds that are not run, and whose artifacts stand
}

// Job is one build of a plan.
type Job struct {
	Template *template.Build
	Index    int
	resumed  *resumption // nil: the build begins as layers allow
}

// NewPlan checks every component of the builds. A build with an error is not in
// the plan; the others are. What is wrong with several instances is said once.
func NewPlan(builds []*template.Build) (*Plan, template.Diagnostics) {
	plan := &Plan{}
	var all template.Diagnostics
	for _, b := range builds {
		diags := b.Check()
		all = append(all, diags...)
		if diags.HasErrors() {
			continue
		}
		plan.Builds = append(plan.Builds, &Job{Template: b, Index: len(plan.Builds)})
	}
	return plan, all.Tidy()
}

// title is how a provisioner is named to people.
func title(p *template.Provisioner) string {
	if p.Name != "" {
		return p.Type + " " + p.Name
	}
	return p.Type
}
