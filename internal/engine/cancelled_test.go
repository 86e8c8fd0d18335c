package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kiln"
	"kiln/internal/journal"
	"kiln/internal/template"
	"kiln/internal/template/load"
)

func TestCancelledNamesTheCause(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := errors.New("x"); cancelled(ctx, err) != err || cancelled(ctx, nil) != nil {
		t.Error("an error of a build that goes on is changed")
	}
	cancel(errors.New("received interrupt"))
	for _, c := range []struct {
		err  error
		want string
	}{
		{context.Canceled, "build was cancelled: received interrupt"},
		{context.Cause(ctx), "build was cancelled: received interrupt"},
		{fmt.Errorf("upload x: %w", context.Canceled), "build was cancelled: received interrupt: upload x"},
		{errors.Join(errors.New("signal: killed"), context.Canceled),
			"build was cancelled: received interrupt: signal: killed"},
		{errors.New(`Get "http://x": context canceled (tried twice)`),
			`build was cancelled: received interrupt: Get "http://x": received interrupt (tried twice)`},
	} {
		err := cancelled(ctx, c.err)
		if err.Error() != c.want || !errors.Is(err, context.Canceled) || !errors.Is(err, c.err) {
			t.Errorf("%q, want %q", err, c.want)
		}
		if again := cancelled(ctx, fmt.Errorf("again: %w", err)); again.Error() != "again: "+c.want {
			t.Errorf("said twice: %q", again)
		}
	}
}

// hangs is a builder whose machine is not destroyed before even that is cancelled.
type hangs struct{ builder }

func (f *hangs) Start(ctx context.Context, b *kiln.Build) (kiln.Machine, error) {
	r := kiln.Resource{Owner: "builder.hangs", Kind: "vm", ID: "vm"}
	err := b.Own(r, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	if err != nil {
		return nil, err
	}
	b.Say("started")
	<-ctx.Done()
	return nil, ctx.Err()
}

// A second interrupt ends cleaning up: the message of what is left says so.
func TestSecondInterrupt(t *testing.T) {
	here = &world{things: map[string]bool{}}
	all := components()
	all.Builders["hangs"] = func() kiln.Builder { return new(hangs) }
	tmpl, diags := load.Template(t.Context(), template.Options{Path: "-",
		Stdin: strings.NewReader(`{"builders":[{"type":"hangs"}]}`), Components: all, PackerVersion: "1.16.0"})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	builds, _ := tmpl.Builds(t.Context())
	plan, _ := NewPlan(builds)
	soft, cancelSoft := context.WithCancelCause(t.Context())
	hard, cancelHard := context.WithCancelCause(t.Context())
	var said []string
	var end kiln.Event
	results := Run(soft, plan, Options{Run: "r", Program: "packer", Hint: []string{"try again"}, Hard: hard,
		CloseTime: time.Hour, Journal: journal.New(t.TempDir(), "r", ""), Sink: func(e kiln.Event) {
			said = append(said, e.Text+" "+e.Error)
			switch {
			case e.Text == "started":
				cancelSoft(errors.New("received interrupt"))
			case e.Kind == kiln.EventPhase && e.Text == "cleanup":
				cancelHard(errors.New("cleaning up was stopped: received interrupt again"))
			}
			end = e
		}})
	text := strings.Join(said, "\n")
	if len(results) != 1 || len(results[0].Left) != 1 || strings.Contains(text, "context canceled") ||
		!strings.Contains(text, "cleaning up was stopped: received interrupt again") {
		t.Errorf("%+v\n%s", results, text)
	}
	if fmt.Sprint(end.Data) != "[packer cleanup r]" || end.Result != kiln.OutcomeCancelled {
		t.Errorf("what to type next: %+v", end)
	}
}
