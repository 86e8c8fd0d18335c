package test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Every component calls the suite of its kind.
func TestEveryComponentCallsItsSuite(t *testing.T) {
	for room, suite := range map[string]string{
		"builder": "TestBuilder", "provisioner": "TestProvisioner",
		"postprocessor": "TestPostProcessor", "datasource": "TestDataSource",
	} {
		folders, err := filepath.Glob("../" + room + "/*")
		if err != nil || len(folders) == 0 {
			t.Fatalf("%s: %d components, %v", room, len(folders), err)
		}
		for _, folder := range folders {
			if !calls(t, folder, "kilntest."+suite+"(") {
				t.Errorf("%s: no test calls kilntest.%s", folder, suite)
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
