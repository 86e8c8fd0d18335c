package template

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"kiln"
	"kiln/internal/template/interpolate"
)

// commonData are the keys that every build may generate: docs/compat/templates.md 2.8.
var commonData = []string{"ID", "Host", "Port", "User", "Password", "ConnType", "PackerRunUUID",
	"PackerHTTPAddr", "PackerHTTPIP", "PackerHTTPPort", "SSHPublicKey", "SSHPrivateKey", "WinRMPassword"}

// assembler makes builds of what a parser read.
type assembler struct {
	*Template
	spec   *Spec
	only   *selection
	except *selection
	broken []*Build // that cannot be made: what there is of them is checked all the same
}

// Builds resolves variables, locals and data sources and lists the builds that
// were selected, in order. A build that cannot be made is a diagnostic.
func (t *Template) Builds(ctx context.Context) ([]*Build, Diagnostics) {
	var spec *Spec
	var problems hcl.Diagnostics
	t.options.World.In("spec", func() { spec, problems = t.lang.Spec(ctx) })
	problems = append(problems, spec.tellApart()...)
	a := &assembler{Template: t, spec: spec}
	var bad *hcl.Diagnostic
	if a.only, bad = newSelection(t.options.Only, "only", spec.Globs); bad == nil {
		a.except, bad = newSelection(t.options.Except, "except", spec.Globs)
	}
	if bad != nil {
		return nil, t.texts.Convert(append(problems, bad)).Tidy()
	}
	builds, more := a.builds()
	diags := t.texts.Convert(append(problems, more...))
	for _, b := range a.broken {
		diags = append(diags, b.Check()...)
	}
	if problems.HasErrors() || spec.Whole && more.HasErrors() {
		// Nothing can be built. What is wrong with components is reported with the rest.
		for _, b := range builds {
			diags = append(diags, b.Check()...)
		}
		builds = nil
	}
	t.built = builds
	return builds, diags.Tidy()
}

// Thorough looks for all that is wrong with a template that could not be loaded.
// Nothing outside is asked for it.
func (t *Template) Thorough(ctx context.Context) Diagnostics {
	builds, diags := t.Builds(ctx)
	for _, b := range builds {
		diags = append(diags, b.Check()...)
	}
	return diags
}

// builds makes the selected builds and those that they stand on.
func (a *assembler) builds() (out []*Build, diags hcl.Diagnostics) {
	excluded := map[string]bool{}
	for _, b := range a.spec.Builds {
		if !a.only.match(b.Select, true) {
			continue
		}
		if a.except.match(b.Select, false) {
			excluded[b.Name] = true
			continue
		}
		build, more := a.build(b)
		diags = append(diags, more...)
		if build != nil {
			out = append(out, build)
		}
	}
	out, more := a.needed(out, excluded)
	diags = append(diags, more...)
	diags = append(diags, a.only.unmatched(a.spec)...)
	diags = append(diags, a.spec.strangers(a.options.Secret)...)
	return out, append(diags, a.except.unmatched(a.spec)...)
}

// needed adds the builds whose artifacts the selected ones stand on, and refuses
// circles.
func (a *assembler) needed(out []*Build, excluded map[string]bool) ([]*Build, hcl.Diagnostics) {
	var diags hcl.Diagnostics
	at, have := map[string]int{}, map[string]*Build{}
	for i, b := range slices.Backward(a.spec.Builds) {
		at[b.Name] = i
	}
	for _, b := range out {
		have[b.Name] = b
	}
	added := false
	for i := 0; i < len(out); i++ {
		for _, need := range out[i].Needs {
			place, exists := at[need]
			if !exists || have[need] != nil {
				continue
			}
			if excluded[need] {
				diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError,
					Summary: fmt.Sprintf("%s needs the artifact of %s", out[i].Name, need),
					Detail:  "-except leaves that build out."})
				continue
			}
			diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagWarning,
				Summary: fmt.Sprintf("%s is built too", need), Detail: out[i].Name + " needs its artifact."})
			build, more := a.build(a.spec.Builds[place])
			diags = append(diags, more...)
			if build != nil {
				have[need], added = build, true
				out = append(out, build)
			}
		}
	}
	if round := circle(have, a.spec.Builds); round != nil {
		diags = append(diags, ErrorfAt(a.spec.Builds[at[round[0]]].Range, "Cycle among builds",
			"%s. Each of these builds needs the artifact of the next one, so none can be made first.",
			strings.Join(round, " -> ")))
	}
	if added {
		slices.SortStableFunc(out, func(a, b *Build) int { return at[a.Name] - at[b.Name] })
	}
	return out, diags
}

// circle finds builds that need each other. The names are in the order of the
// circle, the first one again at its end.
func circle(builds map[string]*Build, order []*BuildSpec) []string {
	state := map[string]int{}
	var path, found []string
	var visit func(name string) bool
	visit = func(name string) bool {
		switch state[name] {
		case 2:
			return false
		case 1:
			found = append(slices.Clone(path[slices.Index(path, name):]), name)
			return true
		}
		state[name] = 1
		path = append(path, name)
		if b := builds[name]; b != nil {
			for _, need := range b.Needs {
				if visit(need) {
					return true
				}
			}
		}
		path = path[:len(path)-1]
		state[name] = 2
		return false
	}
	for _, b := range order {
		if visit(b.Name) {
			return found
		}
	}
	return nil
}

// maker makes one build.
type maker struct {
	*assembler
	spec  *BuildSpec
	out   *Build
	keys  []string // of the values that the build generates
	count int      // of components so far
	diags hcl.Diagnostics
}

// build makes a build with the steps that are for it. Nil: it cannot be made.
func (a *assembler) build(spec *BuildSpec) (*Build, hcl.Diagnostics) {
	m := &maker{assembler: a, spec: spec, keys: commonData}
	m.out = &Build{Name: spec.Name, Key: spec.key, Source: spec.Source, Alias: spec.Alias,
		Publish: spec.Publish}
	m.out.Render = func(text string, vars map[string]any) (string, error) {
		return spec.Scope.Render(text, m.complete(vars))
	}
	if m.out.Builder = m.component(spec.Builder); m.out.Builder == nil {
		m.keys = nil // nobody can say what it would generate
	}
	for _, s := range spec.Steps {
		if s.runsFor(spec) {
			m.out.Provisioners = append(m.out.Provisioners, m.provisioner(s))
		}
	}
	if s := spec.Cleanup; s != nil && s.runsFor(spec) {
		m.out.Cleanup = m.provisioner(s)
	}
	for _, chain := range spec.Chains {
		if steps := m.chain(chain); len(steps) > 0 {
			m.out.Chains = append(m.out.Chains, steps)
		}
	}
	if m.diags.HasErrors() || m.out.Builder == nil {
		a.broken = append(a.broken, m.out)
		return nil, m.diags
	}
	return m.out, m.diags
}

// runData are the keys of a running build's data that only {{ }} text can ask for.
var runData = []string{"SSHPrivateKeyFile", "SSHAgentAuth"}

// LaterData answers the engine's build function before the build runs: the text that the
// second rendering fills in. Keys are those that can be asked for; nil: nobody knows.
func LaterData(s *Step, keys []string) func(key string) (string, error) {
	return func(key string) (string, error) {
		switch {
		case s.Kind == KindBuilder:
			return "", fmt.Errorf("the given variable %s will not be passed into your plugin", key)
		case keys != nil && !slices.Contains(keys, key):
			return "", noData(key, keys)
		}
		return "{{." + key + "}}", nil
	}
}

// BuildData answers the engine's build function while the build runs.
func BuildData(data map[string]any) func(key string) (string, error) {
	return func(key string) (string, error) {
		v, ok := data[key]
		if !ok {
			return "", noData(key, slices.Sorted(maps.Keys(data)))
		}
		return fmt.Sprint(v), nil
	}
}

func noData(key string, keys []string) error {
	return fmt.Errorf("loaded data, but couldnt find %s in it. The keys are: %s", key,
		strings.Join(keys, ", "))
}

// complete adds empty values for what the build could generate and has not.
func (m *maker) complete(data map[string]any) map[string]any {
	all := maps.Clone(data)
	if all == nil {
		all = map[string]any{}
	}
	for _, key := range slices.Concat(m.keys, runData) {
		if _, ok := all[key]; !ok {
			all[key] = ""
		}
	}
	return all
}

func (m *maker) provisioner(s *Step) *Provisioner {
	p := &Provisioner{
		Component:       m.component(s),
		PauseBefore:     s.PauseBefore,
		Timeout:         s.Timeout,
		MaxRetries:      s.MaxRetries.N,
		ContinueOnError: s.ContinueOnError != nil && *s.ContinueOnError,
		NoCache:         s.Cache != nil && !*s.Cache,
		AlwaysCache:     s.Cache != nil && *s.Cache,
		CacheMaxAge:     s.CacheMaxAge,
	}
	if s.MaxRetries.Text == "" {
		return p
	}
	_, c := m.spec.Scope.Text(s, m.keys)
	text, err := interpolate.RenderStable(s.MaxRetries.Text, c)
	if err == nil && text != "" {
		p.MaxRetries, err = strconv.Atoi(text)
	}
	if err != nil {
		m.diags = append(m.diags, ErrorfAt(s.MaxRetries.Range, "", "%s: max_retries: %v", s.Where, err))
	}
	return p
}

// chain makes a chain of post-processors. One that -except names ends it.
func (m *maker) chain(chain []*Step) (out []*PostProcessor) {
	for _, s := range chain {
		name := s.called()
		if !s.runsFor(m.spec) {
			continue
		}
		if m.except.match(name, false) {
			break
		}
		out = append(out, &PostProcessor{Component: m.component(s), Keep: s.Keep})
	}
	return out
}

// component makes a component that can be decoded. Nil: there is none of its type.
func (m *maker) component(s *Step) *Component {
	if s == nil {
		return nil // a source that does not exist was reported where it is named
	}
	needs, more := m.spec.Scope.Needs(s, m.keys)
	m.diags = append(m.diags, more...)
	for _, name := range needs {
		if !slices.Contains(m.out.Needs, name) {
			m.out.Needs = append(m.out.Needs, name)
		}
	}
	make, known := m.factory(s)
	if make == nil {
		m.diags = append(m.diags, m.spec.Scope.Unknown(s, known))
		return nil
	}
	if s.Kind == KindBuilder {
		if keys := kiln.TraitsOf(make()).Generates; len(keys) > 0 {
			m.keys = append(slices.Clone(commonData), keys...)
		}
	}
	d := &decoding{Step: s, maker: m, make: make, number: m.count}
	m.count++
	if s.Kind == KindProvisioner {
		if o, ok := s.Override[m.spec.Own]; ok {
			d.override = &o
		}
	}
	return &Component{Kind: s.Kind, Type: s.Type, Name: s.Name, File: s.Range.Filename,
		Line: s.Range.Start.Line, decoding: d}
}

// factory is what makes values of a step's component, or the names of those of its
// kind where there is none.
func (m *maker) factory(s *Step) (make func() any, known []string) {
	all := m.options.Components
	switch s.Kind {
	case KindBuilder:
		if all.Builders[s.Type] != nil {
			return func() any { return all.NewBuilder(s.Type) }, nil
		}
		return nil, slices.Collect(maps.Keys(all.Builders))
	case KindProvisioner:
		return factory(all.Provisioners, s.Type)
	}
	return factory(all.PostProcessors, s.Type)
}

func factory[T any](all map[string]func() T, typ string) (func() any, []string) {
	if make, ok := all[typ]; ok {
		return func() any { return make() }, nil
	}
	return nil, slices.Collect(maps.Keys(all))
}
