package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kiln/internal/engine"
	"kiln/internal/redact"
)

type planFlags struct {
	templateFlags
	output  choice
	out     string
	noCache bool
	maxAge  age
	noData  bool
	exact   bool
}

func (f *planFlags) define(fs *flag.FlagSet) {
	f.templateFlags.define(fs)
	f.output = choice{"text", []string{"text", "json"}}
	fs.Var(&f.output, "output", "as `FORMAT`: text or json")
	fs.StringVar(&f.out, "out", "", "write the plan to `FILE`, which `build` runs as it is")
	fs.BoolVar(&f.noCache, "no-cache", false, "as a build with -no-cache")
	f.maxAge.Duration = engine.DefaultMaxAge
	fs.Var(&f.maxAge, "cache-max-age", "as a build with -cache-max-age=`DURATION`")
	fs.BoolVar(&f.exact, "detailed-exitcode", false,
		"exit with 0 where every build would make what it made last, with 2 where there is something to do,\n"+
			"and with 1 after an error")
	fs.BoolVar(&f.noData, "no-datasources", false, "do not ask data sources: their values stay unknown")
}

var planCommand = &command{
	name: "plan", usage: "[options] TEMPLATE", synopsis: "show what a build would do",
	about: "Shows which builds would run and in which order, with their settings, and which steps\nkept layers stand for. Nothing is made or changed; data sources are asked.",
	run: func(ctx context.Context, p *program, c *call) error {
		var f planFlags
		if err := c.parse(p, f.define, 1, 1); err != nil {
			return err
		}
		return p.plan(ctx, &f, c.args[0])
	},
}

// planVersion counts up when a key of the plan's JSON changes its meaning.
const planVersion = 1

func (p *program) plan(ctx context.Context, f *planFlags, path string) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	settings, err := p.cacheSettings(f.noCache, f.maxAge)
	if err != nil {
		return err
	}
	o := f.options(ctx, p, path)
	o.EvaluateData, o.Thorough = !f.noData, true
	t, err := p.load(ctx, o)
	if err != nil {
		return err
	}
	if err := p.havePlugins(ctx, t, f.ignoreDev); err != nil {
		return err
	}
	builds, diags := t.Builds(ctx)
	plan, more := engine.NewPlan(builds)
	diags = append(diags, more...)
	if err := p.show(diags); err != nil {
		return err
	}
	if len(plan.Builds) == 0 {
		return p.show(noBuilds)
	}
	if f.out != "" {
		if f.noData {
			return errors.New("-out writes what data sources gave, and -no-datasources does not ask them")
		}
		if err := p.writePlan(f.out, t, plan); err != nil {
			return err
		}
	}
	layers, err := openLayers(settings, engine.ReadLayers)
	if err != nil {
		p.say("Warning: layers are not looked up: %v", err)
	}
	all, err := engine.Foresee(ctx, plan, engine.Options{Dir: t.Dir, Layers: layers, Reaper: reaper})
	if err != nil {
		return err
	}
	if err := p.showPlan(f, all); err != nil {
		return err
	}
	if f.exact && slices.ContainsFunc(all, func(b engine.Forecast) bool { return !b.Same }) {
		return errToDo
	}
	return nil
}

// showPlan prints what a run would do.
func (p *program) showPlan(f *planFlags, all []engine.Forecast) error {
	if f.output.value == "json" {
		return p.planJSON(all)
	}
	for i, b := range all {
		// Long settings are cut, so what is secret in them must go before.
		text := func(b engine.Forecast) string { return planText(i+1, b) }
		p.say("%s", redact.Render(p.redactor, b, text))
	}
	runs, steps := 0, 0
	for _, b := range all {
		runs, steps = runs+b.Runs, steps+len(b.Steps)
	}
	p.say("%d build(s); %d of %d provisioner(s) would run.", len(all), runs, steps)
	return nil
}

// planJSON prints a plan with all its keys in alphabetical order.
func (p *program) planJSON(all []engine.Forecast) error {
	text, err := p.redactor.Marshal(object{"version": planVersion, "builds": all})
	if err != nil {
		return err
	}
	var sorted any
	if err := json.Unmarshal(text, &sorted); err != nil {
		return err
	}
	enc := json.NewEncoder(p.out.Structured())
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(sorted)
}

func planText(n int, f engine.Forecast) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d. %s\n", n, f.Name)
	if len(f.Needs) > 0 {
		fmt.Fprintf(&b, "   after %s\n", strings.Join(f.Needs, ", "))
	}
	fmt.Fprintf(&b, "   builder %s, starts from %s\n", f.Builder.Type, f.Start)
	for _, caveat := range f.Caveats {
		fmt.Fprintf(&b, "      but %s\n", caveat)
	}
	planSettings(&b, f.Builder)
	for i, s := range f.Steps {
		what := map[string]string{engine.LayerHit: "unchanged, its layer is used" + ranAgo(s), engine.LayerMiss: "runs: " + s.Reason, engine.LayerAlways: "runs always", engine.LayerNone: "runs"}[s.Layer]
		fmt.Fprintf(&b, "   step %d, provisioner %s: %s\n", i+1, titled(s), what)
		if s.Caveat != "" {
			fmt.Fprintf(&b, "      but %s\n", s.Caveat)
		}
		planSettings(&b, s)
	}
	if f.Cleanup != nil {
		fmt.Fprintf(&b, "   after a failure, provisioner %s\n", titled(*f.Cleanup))
		planSettings(&b, *f.Cleanup)
	}
	for _, chain := range f.Chains {
		for i, s := range chain {
			then := "post-processor"
			if i > 0 {
				then = "then post-processor"
			}
			fmt.Fprintf(&b, "   %s %s\n", then, titled(s))
			planSettings(&b, s)
		}
	}
	if f.Same {
		b.WriteString("   unchanged: it would make what the last run made\n")
	}
	return b.String()
}

// ranAgo tells how old a layer's step is.
func ranAgo(s engine.Planned) string {
	if s.Age == "" {
		return ""
	}
	return " (ran " + s.Age + " ago)"
}

func titled(s engine.Planned) string {
	if s.Name != "" && s.Name != s.Type {
		return s.Type + " " + s.Name
	}
	return s.Type
}

// planSettings prints options a line each; long texts are cut.
func planSettings(b *strings.Builder, s engine.Planned) {
	unknown := map[string]string{}
	for _, u := range s.Unknown {
		unknown[u.Option] = "known later"
		if len(u.From) > 0 {
			unknown[u.Option] += ", from " + strings.Join(u.From, ", ")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Settings)) {
		if why, ok := unknown[name]; ok {
			fmt.Fprintf(b, "      %s = (%s)\n", name, why)
			continue
		}
		text, err := json.Marshal(s.Settings[name])
		if err != nil {
			continue
		}
		line := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(text))
		const longest = 160
		if r := []rune(line); len(r) > longest {
			line = string(r[:longest]) + "..."
		}
		fmt.Fprintf(b, "      %s = %s\n", name, line)
	}
}
