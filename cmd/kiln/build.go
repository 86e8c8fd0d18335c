package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kiln/internal/engine"
	"kiln/internal/home"
	"kiln/internal/journal"
	"kiln/internal/template"
)

type buildFlags struct {
	templateFlags
	color          optionalBool
	debug          bool
	force          bool
	onError        choice
	parallel       int
	timestamp      bool
	machine        bool
	warnUndeclared bool
	skipEnforce    bool
	noCache        bool
	resume         bool
	cacheMaxAge    age
	layers         cacheSettings // that follow from both
	output         choice
	junit          string
	properties     string
	path           string   // of the template or plan, as it is given again
	args           []string // of the command line
}

// optionalBool is a boolean flag that knows whether it was given.
type optionalBool struct{ set, value bool }

func (b *optionalBool) String() string   { return fmt.Sprint(b.value) }
func (b *optionalBool) IsBoolFlag() bool { return true }
func (b *optionalBool) Set(s string) error {
	switch s {
	case "true", "1", "t", "T", "TRUE", "True":
		b.value = true
	case "false", "0", "f", "F", "FALSE", "False":
		b.value = false
	default:
		return fmt.Errorf("parse error")
	}
	b.set = true
	return nil
}

func (f *buildFlags) define(fs *flag.FlagSet) {
	f.templateFlags.define(fs)
	f.onError = choice{"cleanup", []string{"cleanup", "abort", "ask", "run-cleanup-provisioner"}}
	f.output = choice{"auto", []string{"auto", "live", "plain", "json"}}
	f.color.value = true
	fs.Var(&f.color, "color", "colours, on or off (default: on)")
	fs.BoolVar(&f.debug, "debug", false, "pause between steps, one build at a time")
	fs.BoolVar(&f.force, "force", false, "overwrite what a build would make and is there already")
	fs.Var(&f.onError, "on-error", "what to `DO` after a failure: cleanup, abort, ask or run-cleanup-provisioner")
	fs.IntVar(&f.parallel, "parallel-builds", 0, "at most `N` builds side by side; 0: no limit")
	fs.BoolVar(&f.timestamp, "timestamp-ui", false, "begin each message with its time")
	fs.BoolVar(&f.machine, "machine-readable", false, "machine-readable output; only with a single dash")
	fs.BoolVar(
		&f.warnUndeclared,
		"warn-on-undeclared-var",
		false,
		"warn of names in var-files that no variable declares",
	)
	fs.BoolVar(&f.skipEnforce, "skip-enforcement", false, "no provisioners that a registry enforces")
	fs.BoolVar(&f.noCache, "no-cache", false, "neither use nor keep layers")
	fs.BoolVar(&f.resume, "resume", false,
		"go on where the last run failed: each build that is not done starts from its last kept layer,\n"+
			"however old; refused where that cannot be")
	f.cacheMaxAge.Duration = engine.DefaultMaxAge
	fs.Var(
		&f.cacheMaxAge,
		"cache-max-age",
		"use no layer with a step that ran longer ago than this `DURATION` (default 24h)",
	)
	fs.Var(&f.output, "output", "as `FORMAT`: auto, live, plain or json; auto is live on a terminal")
	fs.StringVar(&f.junit, "junit", "", "write the steps as JUnit XML to `FILE`")
	fs.StringVar(&f.properties, "properties", "", "write the artifacts' ids as a properties `FILE`")
}

// absolute makes all paths of the flags absolute, for a run that goes to another folder.
func (f *buildFlags) absolute() error {
	paths := []*string{&f.path}
	for i := range f.varFiles {
		paths = append(paths, &f.varFiles[i])
	}
	for _, path := range paths {
		abs, err := absolute(*path)
		if err != nil {
			return err
		}
		*path = abs
	}
	return nil
}

var buildCommand = &command{
	name: "build", usage: "[options] TEMPLATE|PLAN", synopsis: "make the images of a template",
	about: "Runs the builds of a template side by side and makes their images.\nTEMPLATE is a file, a folder of .pkr.hcl files, or - for JSON on standard input.\nPLAN is a file that `plan -out` wrote: it runs as it is, and a file that changed\nsince is refused.",
	run: func(ctx context.Context, p *program, c *call) error {
		f := buildFlags{args: c.args}
		err := c.parse(p, f.define, 1, 1)
		// Reports that an earlier run wrote go in any case.
		s, openErr := p.openStage(&f)
		p.stage = s
		if err == nil {
			err = openErr
		}
		if err == nil {
			err = p.build(ctx, &f, s, c.args[0])
		}
		if s.ended {
			return err
		}
		return s.fail(p, err)
	},
}

// build loads, plans and runs.
func (p *program) build(ctx context.Context, f *buildFlags, s *stage, path string) error {
	dir, err := home.Open()
	if err != nil {
		return err
	}
	if f.layers, err = p.cacheSettings(f.noCache, f.cacheMaxAge); err != nil {
		return err
	}
	if _, err := historyLimit(); err != nil {
		return err
	}
	ctx, hard, stop := p.signals(ctx)
	defer stop()
	if f.skipEnforce {
		p.say("Skipping HCP Packer enforced provisioners (--skip-enforcement flag set)")
	}
	o := f.options(ctx, p, path)
	o.WarnUndeclared, o.EvaluateData, o.Thorough = f.warnUndeclared, true, true
	f.path = path
	file, err := readPlan(path)
	if err != nil {
		return err
	}
	var t *template.Template
	if file != nil {
		if err := f.absolute(); err != nil {
			return err
		}
		o.VarFiles = f.varFiles
		t, err = p.loadPlan(ctx, file, o)
	} else {
		t, err = p.load(ctx, o)
	}
	if err != nil {
		return err
	}
	if err := p.havePlugins(ctx, t, f.ignoreDev); err != nil {
		return err
	}
	builds, diags := t.Builds(ctx)
	plan, more := engine.NewPlan(builds)
	diags = append(diags, more...)
	p.show(diags)
	if len(plan.Builds) == 0 {
		if diags.HasErrors() {
			return errReported
		}
		return p.show(noBuilds)
	}
	if file != nil {
		if err := file.Check(plan, p.redactor.Marshal); err != nil {
			return err
		}
	}
	if f.resume {
		if err := p.resume(ctx, f, t, plan); err != nil {
			return err
		}
	}
	if f.debug {
		p.say("Debug mode enabled. Builds will not be parallelized.")
	}
	if err := s.plan(p, f, plan); err != nil {
		return err
	}
	err = p.runPlan(ctx, hard, f, s, t, plan, dir)
	if err == nil && (diags.HasErrors() || ctx.Err() != nil) {
		return errReported
	}
	return err
}

// noBuilds is what is wrong with a template of which nothing is to be built.
var noBuilds = template.Errorf("No builds to run", "There is nothing to build here. Where -only or -except is "+
	"given, check that it leaves at least one build of the template.")

// runPlan runs a plan with all its sinks. A build that failed is errReported.
func (p *program) runPlan(
	ctx, hard context.Context,
	f *buildFlags,
	s *stage,
	t *template.Template,
	plan *engine.Plan,
	dir string,
) error {
	run := runID(p.start)
	os.Setenv("PACKER_RUN_UUID", runUUID(p.start))
	var hash *engine.Hasher
	if layers, err := engine.OpenLayers(filepath.Join(dir, "layers")); err == nil {
		hash = layers.Hasher
	}
	record := p.newRecord(run, t, plan, hash)
	j := journal.New(filepath.Join(dir, "journal"), run, t.Path)
	s.own(&partJournal{journal: j})
	sinks, err := p.sinks(hard, f, s, dir, run, record)
	if err != nil {
		return err
	}
	s.begin(sinks)
	if err := p.keepBundle(filepath.Join(dir, "runs", run, bundleName), t); err != nil {
		p.warn(fmt.Errorf("what a clean-up by another process may need is not kept: %w", err))
	}
	downloads := openDownloads(dir)
	o := engine.Options{
		Run: run, RunUUID: os.Getenv("PACKER_RUN_UUID"), Dir: t.Dir, Home: dir,
		Parallel: f.parallel, OnError: f.onError.value,
		Debug: f.debug, Force: f.force, Version: kilnVersion, Journal: j, Hide: p.redactor.Add, Sink: sinks.Event,
		Ask: p.asker(
			sinks,
			f,
		), Reaper: reaper, Hard: hard, Fetch: downloads.Fetch, Checksum: downloads.Checksum,
		Program: p.name,
	}
	if p.asPacker() {
		o.Version = packerVersion
	}
	if again := f.again(); again != "" && !f.debug && f.onError.value == "cleanup" {
		o.Hint = []string{p.name + " build -on-error=ask " + again + "   # stops at the failing step and asks"}
	}
	if o.Layers, err = openLayers(f.layers, engine.OpenLayers); err != nil {
		p.say("Warning: layers are not used: %v", err)
	}
	if again := f.again(); again != "" {
		o.Resume = p.name + " build -resume " + again
	}
	results := engine.Run(ctx, plan, o)
	if len(results) != len(plan.Builds) {
		err = errReported
	}
	for _, r := range results {
		if r.Err != nil {
			err = errReported
		}
	}
	keepInputs(record, results)
	if closeErr := s.end(p, sinks); closeErr != nil {
		// It may be standard output that cannot be written.
		fmt.Fprintf(p.errs, "Error: %v\n", closeErr)
		err = errReported
	}
	if closeErr := j.Close(); closeErr != nil {
		p.report(fmt.Errorf("journal: %w", closeErr))
		err = errReported
	}
	if o.Layers != nil && o.Layers.Kept() {
		p.trimLayers(hard)
	}
	return err
}

// oneSignal is the time in which signals of a kind are one. A program that ends another may
// send it to the program and to its group as well, as timeout(1) does; a person is slower.
const oneSignal = 250 * time.Millisecond

// signalCount counts signals that ask to end.
type signalCount struct {
	last os.Signal
	when time.Time
	n    int
}

// count returns which signal this is, from 1; 0: it is a part of the one before.
func (c *signalCount) count(sig os.Signal, now time.Time) int {
	if c.n > 0 && sig == c.last && now.Sub(c.when) < oneSignal {
		return 0
	}
	c.last, c.when = sig, now
	c.n++
	return c.n
}

// signals makes two contexts: the first ends at the first signal, the second,
// which bounds cleaning up, at the next one.
func (p *program) signals(ctx context.Context) (soft, hard context.Context, stop func()) {
	soft, cancelSoft := context.WithCancelCause(ctx)
	hard, cancelHard := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, endSignals...)
	done := make(chan struct{})
	go func() {
		var heard signalCount
		for {
			select {
			case <-done:
				return
			case sig := <-signals:
				switch heard.count(sig, time.Now()) {
				case 1:
					p.saySoon("Cancelling build after receiving %s", sig)
					cancelSoft(fmt.Errorf("received %s", sig))
				case 2:
					p.saySoon("Second signal: cleaning up is stopped. What is left is in the journal; `%s cleanup` removes it.",
						p.name)
					cancelHard(fmt.Errorf("cleaning up was stopped: received %s again", sig))
				case 3:
					// Something hears no signal, such as a call to a file server that is gone.
					p.saySoon("Third signal: ending at once.")
					os.Exit(exitFailed)
				}
			}
		}
	}()
	return soft, hard, func() {
		signal.Stop(signals)
		close(done)
		cancelSoft(nil)
		cancelHard(nil)
	}
}

// readerTime is how long a signal waits for who reads what is said of it.
const readerTime = time.Second

// saySoon says something, and waits not long for a reader: one that reads no more, such as
// a pager, must not keep a signal from ending the run.
func (p *program) saySoon(format string, args ...any) {
	told := make(chan struct{})
	go func() {
		p.say(format, args...)
		close(told)
	}()
	select {
	case <-told:
	case <-time.After(readerTime):
	}
}

// again is what to type after `build` to repeat it: all that was given but how it is
// shown and what happens after a failure; "": it cannot be repeated.
func (f *buildFlags) again() string {
	if f.path == "-" {
		return ""
	}
	var words []string
	for i := 0; i < len(f.args); i++ {
		name, _, whole := strings.Cut(strings.TrimLeft(f.args[i], "-"), "=")
		other := slices.Contains([]string{"on-error", "output", "junit", "properties"}, name)
		if strings.HasPrefix(f.args[i], "-") && other {
			if !whole {
				i++ // its value
			}
			continue
		}
		if strings.HasPrefix(f.args[i], "-") && name == "resume" {
			continue
		}
		words = append(words, shellQuote(f.args[i]))
	}
	return strings.Join(words, " ")
}

// runID names a run: its time, readable and sortable, and a random part.
func runID(start time.Time) string {
	// Milliseconds, so that names sort as runs began.
	stamp := strings.ReplaceAll(start.UTC().Format("20060102-150405.000"), ".", "")
	return stamp + "-" + hex.EncodeToString(random(4))
}

// runUUID is the run's identifier in Packer's form: a UUID whose first 32 bits
// are Unix time.
func runUUID(start time.Time) string {
	if id := os.Getenv("PACKER_RUN_UUID"); id != "" {
		return id
	}
	b := random(12)
	return fmt.Sprintf("%08x-%x-%x-%x-%x", uint32(start.Unix()), b[0:2], b[2:4], b[4:6], b[6:12])
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, see its documentation
	return b
}
