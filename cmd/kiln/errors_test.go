package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"kiln"
	"kiln/internal/template"
)

func TestExitCodes(t *testing.T) {
	for _, row := range []struct {
		err  error
		code int
		show string
	}{
		{nil, 0, ""},
		{errReported, 1, ""},
		{errUnformatted, 3, ""},
		{errors.New("x"), 1, "Error: x\n"},
		{fmt.Errorf("run r: %w", kiln.ErrConflict), 1, "Error: run r: conflict\n"},
		{context.Canceled, 1, "Error: interrupted\n"},
		{wordedf("No builds to run"), 1, "No builds to run\n"},
		{worded(failed("a"), said("b")), 1, "a\nb\n"},
	} {
		var out bytes.Buffer
		p := newProgram(nil, &out, &out)
		p.report(row.err)
		if got := exitCode(row.err); got != row.code || out.String() != row.show {
			t.Errorf("%v: exit code %d, shown as %q", row.err, got, &out)
		}
	}
}

func TestDispatchExitCodes(t *testing.T) {
	for _, row := range []struct {
		code int
		args []string
	}{
		{127, nil}, {127, []string{"nosuch"}}, {127, []string{"execute"}}, {1, []string{"help", "nosuch"}},
		{0, []string{"-h"}},
		{0, []string{"version", "-nosuch"}}, {1, []string{"build"}}, {1, []string{"build", "-nosuch"}},
		{1, []string{"build", "a", "b"}},
		{1, []string{"plugins"}}, {1, []string{"completion", "tcsh"}}, {0, []string{"completion", "fish"}},
		{1, []string{"cache", "nosuch"}},
	} {
		var out bytes.Buffer
		if got := newProgram(nil, &out, &out).dispatch(t.Context(), row.args); got != row.code || out.Len() == 0 {
			t.Errorf("%q: exit code %d, want %d: %s", row.args, got, row.code, &out)
		}
	}
}

// Who ended a command himself reads that, and no word of the program's inside.
func TestInterruptedIsSaid(t *testing.T) {
	var out bytes.Buffer
	p := newProgram(nil, &out, &out)
	p.report(fmt.Errorf("read data.http.x: %w", context.Canceled))
	_ = p.show(template.Errorf("Data source failed", fmt.Sprint("data.http.x: ", context.Canceled)))
	p.flush()
	if text := out.String(); strings.Contains(text, "context canceled") ||
		strings.Count(text, "data.http.x: interrupted") != 2 {
		t.Errorf("%s", text)
	}
}
