package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckConfig(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		`{}`: "", `{"disable_checkpoint":true,"other":1}`: "", `{"builders":{}}`: "", `{bad`: "invalid character",
		`{"builders":{"x":"y"}}`:        "names builders (x)",
		`{"post-processors":{"x":"y"}}`: "names post-processors", `{"provisioners":5}`: "provisioners: ",
	} {
		path := filepath.Join(dir, ".packerconfig")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, env := range []map[string]string{{"PACKER_CONFIG": path}, {"PACKER_CONFIG_DIR": dir},
			{"HOME": dir}} {
			err := checkConfig(func(k string) string { return env[k] })
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
	for _, env := range []map[string]string{{}, {"HOME": "/nope"}, {"PACKER_CONFIG": "/nope"}} {
		if err := checkConfig(func(k string) string { return env[k] }); err != nil {
			t.Errorf("%v: %v", env, err)
		}
	}
}
