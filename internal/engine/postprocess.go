package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"kiln"
	"kiln/internal/template"
)

// postProcess runs the chains one after another, each from the builder's
// artifact, and returns the artifacts that are kept, also with an error: the
// builder's own, then what each chain kept on its way and ended with. A chain
// that fails does not stop the others.
func (w *work) postProcess(ctx context.Context, built *kiln.Artifact) ([]*kiln.Artifact, error) {
	if built == nil {
		return nil, nil
	}
	chains := w.job.Template.Chains
	if len(chains) == 0 {
		return []*kiln.Artifact{built}, nil
	}
	w.enter("post-process")
	var results []*kiln.Artifact
	var errs []error
	keepBuilt := false // what the builder made is listed first
	stays := false     // a later post-processor keeps it, handed on as it was
	step := len(w.job.Template.Provisioners)
	for _, chain := range chains {
		if ctx.Err() != nil {
			errs = append(errs, cancelled(ctx, ctx.Err()))
			break
		}
		prior := built
		for pos, p := range chain {
			step++
			artifact, keep, err := w.process(ctx, p, step, prior)
			if err != nil {
				errs = append(errs, fmt.Errorf("Post-processor failed: %w", err))
				prior = nil
				break
			}
			if artifact == nil {
				prior = nil
				break
			}
			switch {
			case pos == 0:
				keepBuilt = keepBuilt || keep
			case keep:
				results = append(results, prior)
				stays = stays || prior == built
			case artifact != prior && prior != built && !slices.Contains(results, prior):
				// One that was kept stays, handed on or not. What becomes of the builder's own is
				// decided when all chains have had it.
				errs = append(errs, w.discard(prior, append(results, artifact, built)...))
			}
			prior = artifact
		}
		if prior != nil {
			results = append(results, prior)
		}
	}
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if keepBuilt {
		// What a post-processor hands on as it got it is listed twice, as input and as result.
		results = append([]*kiln.Artifact{built}, results...)
	} else if !stays {
		results = slices.DeleteFunc(results, func(a *kiln.Artifact) bool { return a == built })
		if err := w.discard(built, results...); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return results, postProcessError(errs)
	}
	return results, nil
}

func postProcessError(errs []error) error {
	text := fmt.Sprintf("%d error(s) occurred:\n", len(errs))
	for _, err := range errs {
		text += "\n* " + err.Error()
	}
	return &joined{text, errs}
}

// joined is several errors with their own way to be shown.
type joined struct {
	text string
	errs []error
}

func (e *joined) Error() string   { return e.text }
func (e *joined) Unwrap() []error { return e.errs }

// process runs one post-processor and reports whether its input is to be kept.
func (w *work) process(
	ctx context.Context,
	p *template.PostProcessor,
	step int,
	in *kiln.Artifact,
) (*kiln.Artifact, bool, error) {
	b := w.b.For("post-processor."+p.Type, step)
	running := p.Type
	switch {
	case p.Name != p.Type:
		running = fmt.Sprintf("%s (type %s)", p.Name, p.Type)
	}
	w.b.Say("Running post-processor: %s", running)
	begin := time.Now()
	b.Emit(kiln.Event{Kind: kiln.EventStepStart, Text: p.Type})
	artifact, keep, err := w.processed(ctx, b, p, in)
	end := kiln.Event{Kind: kiln.EventStepEnd, Text: p.Type, Seconds: time.Since(begin).Seconds()}
	if err != nil {
		end.Error = err.Error()
	}
	b.Emit(end)
	return artifact, keep, err
}

func (w *work) processed(
	ctx context.Context,
	b *kiln.Build,
	p *template.PostProcessor,
	in *kiln.Artifact,
) (*kiln.Artifact, bool, error) {
	component, diags := p.Decode(in.Data)
	if err := diagError(diags); err != nil {
		return nil, false, err
	}
	processor, ok := component.(kiln.PostProcessor)
	if !ok {
		return nil, false, fmt.Errorf("%s is no post-processor", p.Type)
	}
	keep := keeps(p, component, in)
	artifact, err := processor.Process(ctx, b, in)
	return artifact, keep, cancelled(ctx, err)
}

// keeps reports whether what a post-processor is given is kept. Without an artifact, it is what holds for
// most.
func keeps(p *template.PostProcessor, component any, in *kiln.Artifact) bool {
	says := kiln.TraitsOf(component).Keep
	if k, ok := component.(kiln.Keeper); ok && in != nil {
		says = k.KeepOf(in)
	}
	if p.Keep != nil {
		return *p.Keep || says.Default && says.Forced
	}
	return says.Default
}

func unique(in []*kiln.Artifact) []*kiln.Artifact {
	var out []*kiln.Artifact
	for _, a := range in {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}
