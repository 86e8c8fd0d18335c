package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"kiln"
	"kiln/internal/template"
)

// Options is what a run works with.
type Options struct {
	Run       string // identifier
	RunUUID   string // PackerRunUUID of templates and manifests
	Dir       string // folder of the template
	Home      string // see [kiln.Build]
	Parallel  int    // builds at one time; 0 or less: no limit
	OnError   string // cleanup, abort, ask, run-cleanup-provisioner
	Debug     bool
	Force     bool
	Version   string   // shown in the first event
	Layers    *Layers  // nil: no layers are used or kept
	Program   string   // by which name Kiln was called, for commands to type
	Hint      []string // commands to type after a step failed
	Resume    string   // command that goes on where builds failed; empty: there is none
	Journal   kiln.Journal
	Hide      func(secret string) // told of each secret that a build meets; nil: nobody
	Sink      func(kiln.Event)
	Ask       func(ctx context.Context, build, question string) (string, error)
	Fetch     func(ctx context.Context, b *kiln.Build, r kiln.Remote) (string, error)
	Checksum  func(ctx context.Context, b *kiln.Build, r kiln.Remote) (string, error)
	Reaper    func(owner string) (kiln.Reaper, bool)
	CloseTime time.Duration // bound on cleaning up after one build; 0: five minutes
	// Hard is cancelled when even cleaning up has to stop. Nil: never.
	Hard context.Context
}

// Result is how one build ended.
type Result struct {
	Name      string
	Artifacts []*kiln.Artifact
	Err       error // nil: success
	Left      []kiln.Resource
	Skipped   bool     // it did not begin, as a build failed that it needs
	Resumes   int      // after how many steps a failed build can be resumed; 0: it cannot
	Asked     bool     // whether -on-error=ask would have asked, after a step had begun
	Inputs    []Inputs // what the provisioners' effects depended on, as far as that is known
	Took      time.Duration
}

// Run makes the builds of a plan and returns when all have ended and cleaned up,
// with a result for each that was begun, in the plan's order.
func Run(ctx context.Context, plan *Plan, o Options) []Result {
	if o.CloseTime == 0 {
		o.CloseTime = 5 * time.Minute
	}
	if o.Program == "" {
		o.Program = "kiln"
	}
	if o.Hard == nil {
		o.Hard = context.Background()
	}
	if o.Debug {
		o.Parallel = 1
	}
	r := &runner{Options: o}
	begin := time.Now()
	var names []string
	for _, j := range plan.Builds {
		names = append(names, j.Template.Name)
	}
	r.emit(kiln.Event{Version: kiln.EventVersion, Kind: kiln.EventRunStart, Text: o.Version, Data: names})
	results := r.all(ctx, plan)
	end := kiln.Event{Kind: kiln.EventRunEnd, Seconds: time.Since(begin).Seconds(), Result: kiln.OutcomeSuccess}
	for _, res := range results {
		if res.Err == nil {
			continue
		}
		end.Result = kiln.OutcomeFailed
		if res.Asked {
			end.Data = o.Hint
		}
	}
	if hint := o.resumeHint(results); hint != "" {
		end.Data = append(end.Data[:len(end.Data):len(end.Data)], hint)
	}
	if ctx.Err() != nil {
		// Who cancels a run needs no advice on how to repeat it.
		end.Result, end.Data = kiln.OutcomeCancelled, nil
	}
	for _, res := range results {
		if len(res.Left) > 0 {
			end.Data = append(end.Data[:len(end.Data):len(end.Data)], o.Program+" cleanup "+o.Run)
			break
		}
	}
	r.emit(end)
	return results
}

// resumeHint is the command that resumes what failed; "": that cannot be resumed.
func (o *Options) resumeHint(results []Result) string {
	var failed []Result
	for _, res := range results {
		switch {
		case res.Err == nil || res.Skipped:
		case res.Resumes == 0:
			return ""
		default:
			failed = append(failed, res)
		}
	}
	if o.Resume == "" || len(failed) == 0 {
		return ""
	}
	where := fmt.Sprintf("%d builds", len(failed))
	if len(failed) == 1 {
		where = fmt.Sprintf("after step %d", failed[0].Resumes)
	}
	return o.Resume + "   # goes on " + where
}

type runner struct {
	Options
	pipes kiln.Pipes // that its builds have read
}

func (r *runner) emit(e kiln.Event) {
	e.Time, e.Run = time.Now(), r.Run
	r.Sink(e)
}

// all runs the jobs with at most r.Parallel at a time, each after those whose
// artifacts it needs. After cancellation no new one begins.
func (r *runner) all(ctx context.Context, plan *Plan) []Result {
	limit := r.Parallel
	if limit <= 0 {
		limit = len(plan.Builds)
	}
	results := make([]*Result, len(plan.Builds))
	q := newQueue(plan)
	type ending struct {
		index  int
		result *Result
	}
	finished := make(chan ending)
	running := 0
	for {
		for ctx.Err() == nil && running < limit {
			job := q.next()
			if job == nil {
				break
			}
			if why := q.missing(job, results); why != "" {
				results[job.Index] = r.skip(job, why)
				q.ended(job.Index)
				continue
			}
			running++
			go func() { finished <- ending{job.Index, r.one(ctx, job)} }()
		}
		if running == 0 {
			break
		}
		end := <-finished
		results[end.index] = end.result
		q.ended(end.index)
		running--
	}
	var begun []Result
	for _, res := range results {
		if res != nil {
			begun = append(begun, *res)
		}
	}
	return begun
}

// missing says why a job cannot begin though all that it needs has ended; "": it can.
func (q *queue) missing(job *Job, results []*Result) (why string) {
	for _, name := range job.Template.Needs {
		at, ok := q.byName[name]
		switch {
		case q.stands[name]:
		case !ok: // its preparation failed: it is not in the plan
			why = name + ", which cannot be prepared"
		case results[at].Err != nil:
			why = name + ", which failed"
		case len(results[at].Artifacts) == 0:
			why = name + ", which kept none"
		}
	}
	return why
}

// skip ends a build that cannot begin.
func (r *runner) skip(job *Job, why string) *Result {
	b := kiln.NewBuild(
		kiln.Build{Run: r.Run, Name: job.Template.Name, Type: job.Template.Builder.Type},
		kiln.Host{Emit: r.Sink},
	)
	b.Emit(kiln.Event{Kind: kiln.EventBuildStart, Index: job.Index})
	err := fmt.Errorf("not started: it needs the artifact of %s", why)
	b.Emit(kiln.Event{Kind: kiln.EventPhase, Text: "wait"})
	b.Emit(
		kiln.Event{Kind: kiln.EventBuildEnd, Index: job.Index, Error: err.Error(), Result: kiln.OutcomeFailed},
	)
	return &Result{Name: job.Template.Name, Err: err, Skipped: true}
}

// one makes one build and tells how it ended.
func (r *runner) one(ctx context.Context, job *Job) *Result {
	begin := time.Now()
	t := job.Template
	w := &work{runner: r, job: job}
	host := kiln.Host{
		Emit:    r.Sink,
		Journal: r.Journal,
		Ask:     w.ask,
		Hide:    r.Hide,
		Render:  w.render,
		Fetch:   r.Fetch,
		Pipes:   &r.pipes,

		Checksum: r.Checksum,
	}
	if r.Layers != nil {
		host.Layers, host.Last = w.layerKeys, w.last
	}
	w.b = kiln.NewBuild(
		kiln.Build{
			Run:       r.Run,
			Name:      t.Name,
			Source:    t.Source,
			Type:      t.Builder.Type,
			Component: "builder." + t.Builder.Type,
			Dir:       r.Dir,
			Debug:     r.Debug,
			Force:     r.Force,
			OnError:   r.OnError,
			Home:      r.Home,
		},
		host,
	)
	w.setDefaults()
	w.b.Emit(kiln.Event{Kind: kiln.EventBuildStart, Index: job.Index})

	res := &Result{Name: t.Name}
	res.Artifacts, res.Err = w.run(ctx)
	res.Took = time.Since(begin)
	res.Left, res.Asked = w.left, w.stepped && w.failedIn != ""
	if w.chain != nil {
		res.Inputs = w.chain.inputs
	}
	if res.Err != nil {
		res.Resumes = w.noteFailure()
	}
	for _, left := range w.left {
		w.b.Emit(kiln.Event{Kind: kiln.EventLeft, Resource: &left})
	}
	if res.Err == nil {
		if out := published(res.Artifacts); out != nil {
			if t.Publish != nil {
				t.Publish(out)
			}
			if w.chain != nil {
				w.remade(ctx, out, res.Artifacts)
			}
		}
	}
	end := kiln.Event{
		Kind:    kiln.EventBuildEnd,
		Index:   job.Index,
		Seconds: res.Took.Seconds(),
		Result:  kiln.OutcomeSuccess,
	}
	if res.Err != nil {
		end.Error, end.Result = res.Err.Error(), kiln.OutcomeFailed
		if ctx.Err() != nil {
			end.Result = kiln.OutcomeCancelled
		}
		res.Artifacts = nil
	}
	for i, a := range res.Artifacts {
		w.b.Emit(kiln.Event{Kind: kiln.EventArtifact, Index: i, Artifact: a.Public()})
	}
	w.b.Emit(end)
	return res
}

// render renders {{ }} text with the build's data and vars as dot.
func (w *work) render(b *kiln.Build, text string, vars map[string]any) (string, error) {
	data := b.Data()
	maps.Copy(data, vars)
	return w.job.Template.Render(text, data)
}

// published is what the builds that stand on this one see of it: the first artifact that
// is kept, which is the builder's own wherever no post-processor replaced it, with the
// tags that post-processors gave. Nil: none is kept.
func published(artifacts []*kiln.Artifact) *kiln.Artifact {
	if len(artifacts) == 0 {
		return nil
	}
	out := *artifacts[0]
	out.Tags = slices.Clone(out.Tags)
	for _, a := range artifacts[1:] {
		for _, tag := range a.Tags {
			if !slices.Contains(out.Tags, tag) {
				out.Tags = append(out.Tags, tag)
			}
		}
	}
	return &out
}

// work is one build while it runs.
type work struct {
	*runner
	job     *Job
	b       *kiln.Build
	c       kiln.Communicator // the way into the machine, once connected
	builder kiln.Builder
	done    map[int]bool // local steps that have run, also before a restart
	left    []kiln.Resource
	phase   string

	stepped      bool            // a provisioner has begun
	provisioning bool            // a machine has come to its steps
	at           int             // the step that runs, from 1; 0: none
	failedIn     string          // the phase that failed, where -on-error says what then; "": none
	captured     *kiln.Artifact  // what the machine gave
	made         string          // what that depended on, see madeOf
	stood        []kiln.Resource // what the build made that stays

	chain        *chain            // nil: no layers
	checkpointer kiln.Checkpointer // the machine; nil: it keeps no layers
}

// setDefaults gives templates the markers that Packer's give where a builder does
// not know a value.
func (w *work) setDefaults() {
	w.done = map[int]bool{}
	w.b.Set("PackerRunUUID", w.RunUUID)
	for key, name := range map[string]string{"ID": "ID", "PackerHTTPIP": "HTTP_IP", "PackerHTTPPort": "HTTP_PORT", "PackerHTTPAddr": "HTTP_ADDR"} {
		w.b.Set(key, "ERR_"+name+"_NOT_IMPLEMENTED_BY_BUILDER")
	}
}

// run is the whole path of a build.
func (w *work) run(ctx context.Context) ([]*kiln.Artifact, error) {
	artifact, err := w.bake(ctx)
	if err == nil || w.cleans() {
		w.enter("cleanup")
		err = w.close(err, artifact)
	}
	if err != nil {
		return nil, errors.Join(err, w.settle(false, nil))
	}
	kept, err := w.postProcess(ctx, artifact)
	if err != nil {
		// The summary lists no artifact of a failed build: who wants them must learn
		// of them here.
		for _, a := range unique(kept) {
			w.b.Say("Kept, though the build fails: %s", a)
		}
	}
	return kept, errors.Join(err, w.settle(err == nil, kept))
}

// bake starts the machine, provisions it and captures it.
func (w *work) bake(ctx context.Context) (*kiln.Artifact, error) {
	component, diags := w.job.Template.Builder.Decode(nil)
	if err := diagError(diags); err != nil {
		return nil, err
	}
	builder, ok := component.(kiln.Builder)
	if !ok {
		return nil, fmt.Errorf("%s is no builder", w.job.Template.Builder.Type)
	}
	w.builder = builder
	machine, err := w.provisioned(ctx, builder)
	// The way in stays open for Capture, which may shut the machine down through
	// it, and for the error-cleanup-provisioner.
	defer w.disconnect()
	var artifact *kiln.Artifact
	if err == nil {
		w.made = w.madeOf()
		err = w.attempt(ctx, "capture", "StepCapture", func() (err error) {
			artifact, err = machine.Capture(ctx)
			return err
		})
	}
	if err != nil {
		if w.phase == "provision" || w.phase == "capture" {
			err = w.cleanupProvisioner(ctx, err)
		}
		w.aborted(ctx, err)
		return nil, err
	}
	if artifact != nil && artifact.Data == nil {
		artifact.Data = w.b.Data()
	}
	w.captured = artifact
	return artifact, nil
}

func (w *work) disconnect() {
	if w.c != nil {
		// The machine goes or is gone: an error here changes nothing.
		_ = w.c.Close()
		w.c = nil
	}
}

// enter tells that a phase begins.
func (w *work) enter(phase string) {
	w.phase = phase
	w.b.Emit(kiln.Event{Kind: kiln.EventPhase, Text: phase})
}

// cleans tells whether a failed build is cleaned up after.
func (w *work) cleans() bool {
	return w.OnError != "abort" && w.OnError != "run-cleanup-provisioner" && w.phase != "aborted"
}

// close destroys what the build owns but not what belongs to the artifact.
func (w *work) close(err error, artifact *kiln.Artifact) error {
	ctx, cancel := w.closing()
	defer cancel()
	closeErr := w.b.Close(ctx)
	w.left = append(w.left, kiln.Undestroyed(closeErr)...)
	if err == nil && closeErr != nil && artifact != nil {
		// The image is made; what could not be destroyed is told, and still in
		// the journal.
		w.b.Error("%s", named(w.Hard, closeErr))
		return nil
	}
	if closeErr != nil {
		w.b.Error("clean up: %s", named(w.Hard, closeErr))
	}
	return err
}

// closing is a context that the build's cancellation does not reach, with its own
// deadline.
func (w *work) closing() (context.Context, context.CancelFunc) {
	return context.WithTimeout(w.Hard, w.CloseTime)
}

func diagError(diags template.Diagnostics) error {
	var errs []error
	for _, d := range diags {
		if d.Severity != template.Error {
			continue
		}
		text := d.Summary
		if d.Detail != "" && d.Detail != d.Summary {
			if text != "" {
				text += ": "
			}
			text += d.Detail
		}
		if d.File != "" {
			text += " (" + d.File + ":" + strconv.Itoa(d.Line) + ")"
		}
		errs = append(errs, errors.New(text))
	}
	return errors.Join(errs...)
}
