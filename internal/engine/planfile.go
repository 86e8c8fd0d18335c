package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"kiln"
	"maps"
	"slices"
	"strings"
	"time"

	"kiln/internal/template"
	"kiln/schema"
)

// planFileVersion counts up when a file of before cannot be read any more.
const planFileVersion = 1

// PlanFile is a plan that another process can run: what is to be done, the template with
// all that was read for it, and the digests of the files that its steps use. It holds no
// secret: what was secret is asked for again.
type PlanFile struct {
	Version int             `json:"kiln_plan"`
	Kiln    string          `json:"kiln"` // version that made it
	Time    time.Time       `json:"time"`
	Builds  json.RawMessage `json:"builds"` // []PlannedBuild, with secrets masked
	// Files are what components name: a file that does not exist yet is made while the
	// plan runs.
	Files  []PlannedFile    `json:"files,omitempty"`
	Bundle *template.Bundle `json:"template"`
}

// PlannedFile is a file or folder that a step uses.
type PlannedFile struct {
	Path   string `json:"path"`
	Digest string `json:"digest"` // of a tree with modes, links and content
}

// absent stands for the digest of a file that does not exist.
const absent = "absent"

// Marshal writes a value as JSON with secrets masked.
type Marshal func(v any) ([]byte, error)

// NewPlanFile makes the file of a plan. Version is Kiln's own.
func NewPlanFile(
	plan *Plan,
	bundle *template.Bundle,
	version string,
	now time.Time,
	marshal Marshal,
) (*PlanFile, error) {
	f := &PlanFile{Version: planFileVersion, Kiln: version, Time: now, Bundle: bundle}
	var err error
	if f.Builds, err = marshal(plan.Describe()); err != nil {
		return nil, err
	}
	f.Files, err = digests(plan, marshal)
	return f, err
}

// ReadPlanFile reads what a PlanFile was marshalled to.
func ReadPlanFile(text []byte) (*PlanFile, error) {
	const anew = "make it anew with `plan -out`"
	var head struct {
		Version int `json:"kiln_plan"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("the plan is damaged (%w): %s", err, anew)
	}
	if head.Version != planFileVersion {
		return nil, fmt.Errorf(
			"the plan has version %d, and this version runs version %d: %s",
			head.Version,
			planFileVersion,
			anew,
		)
	}
	f := new(PlanFile)
	if err := json.Unmarshal(text, f); err != nil {
		return nil, fmt.Errorf("the plan is damaged (%w): %s", err, anew)
	}
	if f.Bundle == nil {
		return nil, fmt.Errorf("the plan holds no template: %s", anew)
	}
	return f, nil
}

// CheckFiles compares the files that steps use with what they were when the plan was made.
// The error names each that is different. Paths begin in the folder of the plan.
func (f *PlanFile) CheckFiles() error {
	h := planHasher()
	var errs []error
	for _, was := range f.Files {
		if was.Digest == absent || strings.Contains(was.Path, kiln.Masked) {
			continue // made while the plan runs, or not to be found by its masked name
		}
		now, err := digest(h, was.Path)
		what := "has changed (content or mode)"
		switch {
		case err != nil:
			errs = append(errs, err)
			continue
		case now == was.Digest:
			continue
		case now == absent:
			what = "no longer exists"
		}
		errs = append(
			errs,
			fmt.Errorf("%s %s since the plan was made: make it anew with `plan -out`", was.Path, what),
		)
	}
	return errors.Join(errs...)
}

// Check compares the plan that was made of the file's template again with what the file
// says. The error names the first place that is different.
func (f *PlanFile) Check(plan *Plan, marshal Marshal) error {
	text, err := marshal(plan.Describe())
	if err != nil {
		return err
	}
	var planned, is any
	if err := errors.Join(json.Unmarshal(f.Builds, &planned), json.Unmarshal(text, &is)); err != nil {
		return err
	}
	if at := differs("builds", planned, is); at != "" {
		return fmt.Errorf(
			"the plan no longer says what would be done: %s is different. Make it anew with `plan -out`",
			at,
		)
	}
	return nil
}

// differs names the first place at which two values differ; "": none.
func differs(at string, a, b any) string {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok {
			return at
		}
		keys := maps.Clone(a)
		maps.Copy(keys, b)
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			if where := differs(at+"."+k, a[k], b[k]); where != "" {
				return where
			}
		}
		return ""
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return at
		}
		for i := range a {
			if where := differs(fmt.Sprintf("%s[%d]", at, i), a[i], b[i]); where != "" {
				return where
			}
		}
		return ""
	}
	if a != b {
		return at
	}
	return ""
}

// digests hashes every file that a component of the plan names. What is not a file, such as
// a path on the machine, is absent on both sides.
func digests(plan *Plan, marshal Marshal) (masked []PlannedFile, err error) {
	var all []PlannedFile
	known := map[string]bool{}
	h := planHasher()
	for _, job := range plan.Builds {
		for _, c := range job.Template.Components() {
			component, diags := c.Decode(nil)
			if err := diagError(diags); err != nil {
				return nil, err
			}
			for _, path := range schema.Files(component) {
				if known[path] || path == "" || strings.Contains(path, schema.Placeholder) {
					continue
				}
				known[path] = true
				sum, err := digest(h, path)
				if err != nil {
					return nil, err
				}
				all = append(all, PlannedFile{path, sum})
			}
		}
	}
	text, err := marshal(all)
	if err != nil {
		return nil, err
	}
	return masked, json.Unmarshal(text, &masked)
}

// planHasher hashes files with no secret: the same files have the same digest everywhere.
func planHasher() *Hasher { return NewHasher([]byte("kiln plan")) }

// digest is of a file or folder. A pipe is as one that does not exist yet: nobody can say
// what it will give.
func digest(h *Hasher, path string) (string, error) {
	sum, err := h.Tree(path)
	if errors.Is(err, errNoInput) || err == nil && sum == h.Sum(absent) {
		return absent, nil
	}
	return sum, err
}

// PlannedBuild is one build as data: what a plan says and a run does.
type PlannedBuild struct {
	Name    string      `json:"name"`
	Needs   []string    `json:"needs,omitempty"` // builds that are made first
	Builder Planned     `json:"builder"`
	Steps   []Planned   `json:"provisioners"`
	Cleanup *Planned    `json:"error_cleanup_provisioner,omitempty"`
	Chains  [][]Planned `json:"post_processors"`
}

// Planned is a component with its settings, as far as they are known, and what the
// template says around it.
type Planned struct {
	Type     string             `json:"type"`
	Name     string             `json:"name,omitempty"`
	Settings map[string]any     `json:"settings"`
	Unknown  []template.Unknown `json:"unknown,omitempty"` // options known only while the build runs

	PauseBefore     Duration `json:"pause_before,omitempty"`
	Timeout         Duration `json:"timeout,omitempty"`
	MaxRetries      int      `json:"max_retries,omitempty"`
	ContinueOnError bool     `json:"continue_on_error,omitempty"`
	NoCache         bool     `json:"no_cache,omitempty"`
	CacheMaxAge     Duration `json:"cache_max_age,omitempty"`
	Keep            *bool    `json:"keep_input_artifact,omitempty"`

	Layer  string `json:"layer,omitempty"`
	Reason string `json:"reason,omitempty"` // of a miss
	Age    string `json:"layer_age,omitempty"`
	Caveat string `json:"caveat,omitempty"` // what may change that until the step's turn
}

// Describe is the plan as data.
func (p *Plan) Describe() []PlannedBuild {
	var all []PlannedBuild
	for _, job := range p.Builds {
		all = append(all, job.describe())
	}
	return all
}

func (j *Job) describe() PlannedBuild {
	t := j.Template
	b := PlannedBuild{
		Name:    t.Name,
		Needs:   t.Needs,
		Builder: planned(t.Builder),
		Steps:   []Planned{},
		Chains:  [][]Planned{},
	}
	for _, p := range t.Provisioners {
		b.Steps = append(b.Steps, plannedStep(p))
	}
	if t.Cleanup != nil {
		p := plannedStep(t.Cleanup)
		b.Cleanup = &p
	}
	for _, chain := range t.Chains {
		var steps []Planned
		for _, pp := range chain {
			p := planned(pp.Component)
			p.Keep = pp.Keep
			steps = append(steps, p)
		}
		b.Chains = append(b.Chains, steps)
	}
	return b
}

func planned(c *template.Component) Planned {
	return Planned{Type: c.Type, Name: c.Name, Settings: c.Settings(), Unknown: c.Unknown()}
}

func plannedStep(p *template.Provisioner) Planned {
	s := planned(p.Component)
	s.PauseBefore, s.Timeout, s.MaxRetries = Duration(p.PauseBefore), Duration(p.Timeout), p.MaxRetries
	s.ContinueOnError, s.NoCache, s.CacheMaxAge = p.ContinueOnError, p.NoCache, Duration(p.CacheMaxAge)
	return s
}

// Duration is a time that JSON shows as people write it: "1m30s".
type Duration time.Duration

// MarshalText writes it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads it.
func (d *Duration) UnmarshalText(text []byte) error {
	n, err := time.ParseDuration(string(text))
	*d = Duration(n)
	return err
}
