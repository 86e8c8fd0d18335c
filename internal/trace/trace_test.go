package trace

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"kiln"
)

var start = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

// events are a run of one build that fails in its second step, and one that never
// ends.
func events() []kiln.Event {
	return []kiln.Event{
		{Time: at(0), Run: "r", Kind: kiln.EventRunStart},
		{Time: at(1), Build: "a", Kind: kiln.EventBuildStart},
		{Time: at(2), Build: "a", Kind: kiln.EventPhase, Text: "start"},
		{Time: at(10), Build: "a", Kind: kiln.EventPhase, Text: "connect"},
		{Time: at(30), Build: "a", Kind: kiln.EventPhase, Text: "provision"},
		{Time: at(31), Build: "a", Kind: kiln.EventLayer, Step: 1, Text: "new step"},
		{Time: at(32), Build: "a", Kind: kiln.EventStepStart, Step: 1, Component: "provisioner.file", Text: "file"},
		{Time: at(33), Build: "a", Kind: kiln.EventProgress, Step: 1, Text: "x", Done: 1, Total: 10},
		{Time: at(40), Build: "a", Kind: kiln.EventProgress, Step: 1, Text: "x", Done: 10, Total: 10},
		{Time: at(41), Build: "a", Kind: kiln.EventStepEnd, Step: 1},
		{Time: at(42), Build: "b", Kind: kiln.EventBuildStart},
		{Time: at(43), Build: "a", Kind: kiln.EventStepStart, Step: 2, Component: "provisioner.shell",
			Text: "shell"},
		{Time: at(50), Build: "a", Kind: kiln.EventStepEnd, Step: 2, Error: "exit 3"},
		{Time: at(60), Build: "a", Kind: kiln.EventBuildEnd, Error: "exit 3", Result: kiln.OutcomeFailed},
		{Time: at(61), Build: "b", Kind: kiln.EventPhase, Text: "start"},
		{Time: at(70), Kind: kiln.EventRunEnd, Result: kiln.OutcomeFailed},
	}
}

func spans() *Span {
	c := NewCollector()
	for _, e := range events() {
		c.Event(e)
	}
	return c.Run()
}

func TestSpans(t *testing.T) {
	want := `
    0.000s     0.070s  kiln build  [failed]
    0.001s     0.059s    build a  [exit 3]
    0.002s     0.008s      start
    0.010s     0.020s      wait for a connection
    0.030s     0.030s      provision
    0.031s     0.000s        layer of step 1: new step
    0.032s     0.009s        step 1 file
    0.033s     0.007s          transfer x
    0.043s     0.007s        step 2 shell  [exit 3]
    0.042s     0.028s    build b
    0.061s     0.009s      start
`
	if got := spans().Text(); got != strings.TrimPrefix(want, "\n") {
		t.Errorf("got:\n%s", got)
	}
	if NewCollector().Run() != nil {
		t.Error("a run without events has spans")
	}
}

func TestExport(t *testing.T) {
	var mu sync.Mutex
	var got collector.ExportTraceServiceRequest
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = proto.Unmarshal(body, &got)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("X-Team") != "images" {
			t.Errorf("%s: %v", r.URL, err)
		}
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "X-Team=images")
	if err := Export(t.Context(), spans(), "1"); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(got.ResourceSpans) != 1 || len(got.ResourceSpans[0].ScopeSpans) != 1 {
		t.Fatalf("%v", &got)
	}
	all := got.ResourceSpans[0].ScopeSpans[0].Spans
	byName := map[string]int{}
	for i, s := range all {
		byName[s.Name] = i
	}
	if len(all) != 11 || string(all[byName["build a"]].ParentSpanId) != string(all[byName["kiln build"]].SpanId) {
		t.Errorf("spans %v", byName)
	}
	step := all[byName["step 2 shell"]]
	if step.Status.Message != "exit 3" ||
		step.EndTimeUnixNano-step.StartTimeUnixNano != uint64(7*time.Millisecond) {
		t.Errorf("step %v", step)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	if err := Export(t.Context(), spans(), "1"); err == nil ||
		!strings.Contains(err.Error(), "only http/protobuf") {
		t.Errorf("grpc: %v", err)
	}
}

func TestWanted(t *testing.T) {
	for env, want := range map[string]bool{"": false, "OTEL_EXPORTER_OTLP_ENDPOINT": true,
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": true} {
		if Wanted(func(k string) string {
			if k == env {
				return "http://x"
			}
			return ""
		}) != want {
			t.Errorf("%q", env)
		}
	}
	if Wanted(func(k string) string {
		return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}[k]
	}) {
		t.Error("disabled")
	}
}
