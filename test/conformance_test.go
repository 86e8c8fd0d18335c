package test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// without are components that there is nothing of to test yet, with the reason.
var without = map[string]string{"../communicator/winrm": "it refuses to connect"}

// Every component calls the suite of its kind.
func TestEveryComponentCallsItsSuite(t *testing.T) {
	for room, suite := range map[string]string{
		"builder": "TestBuilder", "communicator": "TestCommunicator", "provisioner": "TestProvisioner",
		"postprocessor": "TestPostProcessor", "datasource": "TestDataSource",
	} {
		entries, err := os.ReadDir("../" + room)
		if err != nil || len(entries) == 0 {
			t.Fatalf("%s: %d components, %v", room, len(entries), err)
		}
		for _, e := range entries {
			if !e.IsDir() || e.Name() == "internal" { // what components of a family share
				continue
			}
			folder := "../" + room + "/" + e.Name()
			called := calls(t, folder, "kilntest."+suite+"(")
			switch why, excused := without[folder]; {
			case !called && !excused:
				t.Errorf("%s: no test calls kilntest.%s", folder, suite)
			case called && excused:
				t.Errorf("%s calls kilntest.%s: that %s is no excuse any more", folder, suite, why)
			}
		}
	}
}

// calls reports whether a test file of a folder holds a call.
func calls(t *testing.T, folder, call string) bool {
	t.Helper()
	tests, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tests {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(call)) {
			return true
		}
	}
	return false
}
