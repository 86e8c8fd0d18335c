package ui

import (
	"strings"
	"testing"
	"time"

	"kiln"
)

// The row of a build that connects says how far that has come, and no longer than that.
func TestLiveConnecting(t *testing.T) {
	var out strings.Builder
	l := NewLive(&out, LiveOptions{Every: -1, Now: func() time.Time { return start },
		Size: func() (int, int) { return 100, 24 }})
	shown := func(e kiln.Event) string {
		out.Reset()
		e.Build, e.Time = "qemu.x", start
		l.Event(e)
		return out.String()
	}
	shown(kiln.Event{Kind: kiln.EventBuildStart})
	shown(kiln.Event{Kind: kiln.EventPhase, Text: "connect"})
	const text = "address 127.0.0.1:2222, port open, no banner"
	got := shown(kiln.Event{Kind: kiln.EventProgress, Text: text, Data: []string{"up", "address", "port"}})
	if !strings.Contains(got, "0s  connect  "+text) {
		t.Errorf("connecting: %q", got)
	}
	if got := shown(kiln.Event{Kind: kiln.EventPhase, Text: "provision"}); strings.Contains(got, "port") {
		t.Errorf("connected: %q", got)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
