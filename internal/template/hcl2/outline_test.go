package hcl2

import (
	"reflect"
	"testing"
)

func TestOutlineOf(t *testing.T) {
	for text, want := range map[string]Outline{
		"":             {},
		"build {\n}\n": {Build: true},
		"source \"docker\" \"x\" {\n  build {\n    path = \"D\"\n  }\n}\n":       {},
		"/* build {\n}*/\n# a word\nbuild {}\n":                                  {Build: true},
		"locals {\n  a = <<E\nbuild {\n${var.x}\nE\n  b = \"${ {a = 1}.a }\"\n}": {},
		"output \"a\" {\n  value = 1\n}\n":                                       {Shares: true},
		"steps \"a\" {}\nmodule \"b\" {\n  source = \"./c\"\n}\nbuild {}\n": {
			Build: true, Shares: true, Modules: []string{"./c"},
		},
		"module \"b\" {\n  source = var.x\n}\n": {},
		"build {\n  x = ":                       {Build: true},
	} {
		if got := OutlineOf("t.pkr.hcl", []byte(text)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
	json := `{"module": {"m": {"source": "./c"}}, "build": {}}`
	want := Outline{Build: true, Modules: []string{"./c"}}
	if got := OutlineOf("t.pkr.json", []byte(json)); !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %+v, want %+v", json, got, want)
	}
}
