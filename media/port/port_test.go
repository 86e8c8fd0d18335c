package port

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kiln"
	"kiln/kilntest"
)

func TestOrder(t *testing.T) {
	r := Range{Low: 8000, High: 8010}
	for _, start := range []int{0, 3, 10, 1 << 40, -1, -1 << 40} {
		all := slices.Collect(r.from(start))
		if len(all) != 11 || all[10] != 8010 {
			t.Errorf("from %d the order is %v", start, all)
		}
		slices.Sort(all)
		if len(slices.Compact(all)) != 11 || all[0] != 8000 {
			t.Errorf("from %d it has %v", start, all)
		}
	}
	if one := slices.Collect(Range{Low: 80, High: 80}.from(7)); !slices.Equal(one, []int{80}) {
		t.Errorf("one port is %v", one)
	}
}

func TestTake(t *testing.T) {
	all := Range{Low: 1, High: 3, Address: "127.0.0.1", For: "it", Fields: "min and max"}
	patient, held := all, all
	patient.Wait, held.WaitHeld = time.Hour, 20*time.Millisecond
	odd := errors.New("odd")
	for _, c := range []struct {
		name  string
		r     Range
		try   func(port, n int) error
		want  string // of the error
		tries string
	}{
		{"free", all, func(int, int) error { return nil }, "", "2"},
		{"the last one", all, func(port, _ int) error {
			if port == 3 {
				return nil
			}
			return fmt.Errorf("listen: %w", syscall.EADDRINUSE)
		}, "", "2 1 3"},
		{"taken", all, func(int, int) error { return syscall.EADDRINUSE },
			"all ports from 1 to 3 on 127.0.0.1 are taken: give more of them by min and max", "2 1 3"},
		{"kept for the system", all, func(int, int) error { return syscall.EACCES }, syscall.EACCES.Error(), "2 1 3"},
		{"of another kind", all, func(int, int) error { return odd }, "odd", "2"},
		{"becomes free", patient, func(_, n int) error {
			if n > 3 {
				return nil
			}
			return syscall.EADDRINUSE
		}, "", "2 1 3 2"},
		{"held for ever", held, func(int, int) error { return ErrHeld }, "none became free in 20ms", ""},
		{"one held, then free", held, func(port, n int) error {
			switch {
			case n > 3:
				return nil
			case port == 2:
				return ErrHeld
			}
			return syscall.EADDRINUSE
		}, "", "2 1 3 2"},
	} {
		b, _ := kilntest.NewBuild(t)
		var tried []string
		err := c.r.Take(t.Context(), b, 1, func(port int) error {
			tried = append(tried, fmt.Sprint(port))
			return c.try(port, len(tried))
		})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if got := strings.Join(tried, " "); c.tries != "" && got != c.tries {
			t.Errorf("%s: tried %s, want %s", c.name, got, c.tries)
		}
	}
}

func TestCancelled(t *testing.T) {
	b, r := kilntest.NewBuild(t)
	ctx, cancel := context.WithCancel(t.Context())
	wanted := Range{Low: 1, High: 1, For: "the test", Wait: time.Hour}
	err := wanted.Take(ctx, b, 0, func(int) error {
		if len(r.Texts(kiln.EventSay)) > 0 {
			cancel()
		}
		return syscall.EADDRINUSE
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if said := r.Texts(kiln.EventSay); !slices.Equal(said, []string{
		"Waiting for a port for the test: all ports from 1 to 1 are taken"}) {
		t.Errorf("it said %q", said)
	}
}
