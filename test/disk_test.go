package test

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"kiln/kilntest/disk"
)

// diskCommand is the command of stories that makes a disk to boot, or finds it:
//
//	disk NAME [VARIABLE]
//
// $VARIABLE, $DISK if none is named, is its path, which nobody may write to. $DISK_USER,
// $DISK_PASSWORD and $DISK_KEY are how to log in.
func diskCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: disk NAME [VARIABLE]")
	}
	t, ok := ts.Value(theTest).(testing.TB)
	if !ok {
		ts.Fatalf("no testing.TB")
	}
	d := disk.Named(t, args[0])
	variable := "DISK"
	if len(args) == 2 {
		variable = args[1]
	}
	ts.Setenv(variable, d.Path)
	ts.Setenv("DISK_USER", d.User)
	ts.Setenv("DISK_PASSWORD", d.Password)
	ts.Setenv("DISK_KEY", d.KeyFile)
}

// theTest is the key of the story's testing.TB among its values.
type testKey struct{}

var theTest testKey
