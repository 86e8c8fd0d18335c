package kilntest

import (
	"testing"
	"time"
)

// Eventually waits until something is so, and fails where that does not come.
func Eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for pause := time.Millisecond; !is(); pause = min(2*pause, 200*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come: %s", what)
		}
		time.Sleep(pause)
	}
}
