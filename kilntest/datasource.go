package kilntest

import (
	"context"
	"errors"
	"testing"
	"time"

	"kiln"
	"kiln/schema"
)

// DataSourceOptions says how a data source is tested.
type DataSourceOptions struct {
	// New makes a configured data source, which has an answer.
	New func() kiln.DataSource
	// Slow makes one whose answer takes longer than a test may; nil: there is none.
	Slow func() kiln.DataSource
}

// TestDataSource is the suite that every data source passes: what its configuration
// promises, that it reads the same when nothing changed, gives what it says it will, and
// ends when it is cancelled.
func TestDataSource(t *testing.T, o DataSourceOptions) {
	dir := t.TempDir()
	t.Chdir(dir)
	testConfiguration(t, func() any { return o.New() }, func() []string { return files(t, dir, nil) })
	running := goroutines()
	source := o.New()
	config := snapshot(source)
	first, err := source.Read(t.Context())
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if after := snapshot(source); after != config {
		t.Errorf("the data source was written to while it was read: it was\n%s\nand is\n%s", config, after)
	}
	value := schema.ToCty(first)
	if given := kiln.TraitsOf(source).Shape; given != nil {
		if shape := schema.ToCty(given); !shape.Type().Equals(value.Type()) {
			t.Errorf("it says that it gives %#v, and gives %#v", shape.Type(), value.Type())
		}
	}
	if left := files(t, dir, nil); len(left) != 0 {
		t.Errorf("reading leaves %v", left)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ended(t, ctx, o.New(), time.Now())
	if o.Slow != nil {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		time.AfterFunc(200*time.Millisecond, cancel)
		ended(t, ctx, o.Slow(), time.Now().Add(200*time.Millisecond))
	}
	noMore(t, running)
}

// ended reads with a context that has been or will be cancelled.
func ended(t *testing.T, ctx context.Context, source kiln.DataSource, from time.Time) {
	t.Helper()
	if _, err := source.Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: the error is %v, not the context's", err)
	}
	if took := time.Since(from); took > patience {
		t.Errorf("cancelled: it ended after %s", took.Round(time.Millisecond))
	}
}
