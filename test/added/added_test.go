package added_test

import (
	"os"
	"path/filepath"
	"testing"

	"kiln"
	"kiln/internal/engine"
	"kiln/internal/journal"
	"kiln/internal/template"
	"kiln/internal/template/load"
	"kiln/test/added/banner"
	"kiln/test/added/cloudbox"
	"kiln/test/added/weather"
	"kiln/test/added/wire"
)

// components is the program's list, a line for each.
func components() kiln.Components {
	return kiln.Components{
		Builders: map[string]func() kiln.Builder{
			"cloudbox": func() kiln.Builder { return new(cloudbox.Builder) },
		},
		Communicators: map[string]func() kiln.Connector{
			"wire": func() kiln.Connector { return new(wire.Config) },
		},
		Provisioners: map[string]func() kiln.Provisioner{
			"banner": func() kiln.Provisioner { return new(banner.Provisioner) },
		},
		DataSources: map[string]func() kiln.DataSource{
			"weather": func() kiln.DataSource { return new(weather.DataSource) },
		},
	}
}

// A template that uses one added component of each kind is read and run by the program's
// own loader and engine.
func TestAddedComponents(t *testing.T) {
	region, home := t.TempDir(), t.TempDir()
	tmpl, diags := load.Template(t.Context(), template.Options{
		Path: "added.pkr.hcl", Vars: []string{"region=" + region}, Components: components(),
		EvaluateData: true, PackerVersion: "1.16.0", KilnVersion: "1",
	})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	builds, diags := tmpl.Builds(t.Context())
	plan, more := engine.NewPlan(builds)
	if diags = append(diags, more...); diags.HasErrors() {
		t.Fatal(diags)
	}
	j := journal.New(home, "run", "added.pkr.hcl")
	results := engine.Run(t.Context(), plan, engine.Options{
		Run: "run", Dir: ".", OnError: "cleanup", Journal: j, Sink: func(kiln.Event) {},
		Reaper: func(owner string) (kiln.Reaper, bool) { return new(cloudbox.Builder), owner == cloudbox.Owner },
	})
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if len(results) != 1 || results[0].Err != nil || len(results[0].Artifacts) != 1 {
		t.Fatalf("%+v", results)
	}
	text, err := os.ReadFile(filepath.Join(region, results[0].Artifacts[0].ID, "motd"))
	if want := "The sky over Bern is clear.\n"; err != nil || string(text) != want {
		t.Errorf("the image's banner is %q, %v", text, err)
	}
	for _, dir := range []string{region, home} {
		left, err := os.ReadDir(dir)
		if want := map[string]int{region: 1, home: 0}[dir]; err != nil || len(left) != want {
			t.Errorf("left %v, %v", left, err)
		}
	}
}
