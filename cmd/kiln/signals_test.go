package main

import (
	"os"
	"syscall"
	"testing"
	"time"
)

func TestSignalCount(t *testing.T) {
	start := time.Now()
	var c signalCount
	for _, s := range []struct {
		sig   os.Signal
		after time.Duration
		want  int
	}{
		{syscall.SIGTERM, 0, 1},
		{syscall.SIGTERM, time.Millisecond, 0}, // timeout(1): to the program, and to its group
		{syscall.SIGTERM, oneSignal - 1, 0},
		{os.Interrupt, 2 * time.Millisecond, 2}, // another one
		{os.Interrupt, 2*time.Millisecond + oneSignal, 3},
		{os.Interrupt, 5 * time.Second, 4},
	} {
		if got := c.count(s.sig, start.Add(s.after)); got != s.want {
			t.Errorf("%s after %s: %d, want %d", s.sig, s.after, got, s.want)
		}
	}
}
