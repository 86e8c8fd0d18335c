package kilntest

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// pooled are functions of connections that their client keeps for the next call, and of
// the servers of tests.
var pooled = []string{
	"net/http.(*persistConn)", "net/http.(*conn)", "net/http.(*Server)", "net/http.(*Transport)",
}

// goroutines are the stacks of all goroutines but the caller's and those of connections
// that are kept; the first line names each.
func goroutines() []string {
	buf := make([]byte, 4<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var all []string
	// The last one ends with a line feed, and which is last changes.
	for _, stack := range strings.Split(strings.TrimSpace(string(buf)), "\n\n")[1:] {
		kept := func(name string) bool { return strings.Contains(stack, name) }
		if !slices.ContainsFunc(pooled, kept) {
			// What it is doing now changes from one look to the next.
			name, _, _ := strings.Cut(stack, " [")
			_, origin, _ := strings.Cut(stack, "created by ")
			all = append(all, name+" created by "+origin)
		}
	}
	return all
}

// noMore waits until there are no goroutines but those that were running before.
func noMore(t *testing.T, running []string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		more := slices.DeleteFunc(goroutines(), func(g string) bool { return slices.Contains(running, g) })
		if len(more) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Errorf("goroutines are left:\n%s", strings.Join(more, "\n\n"))
			return
		}
	}
}
