package dockertag

import (
	"strings"
	"testing"

	"kiln"
	builder "kiln/builder/docker"
	"kiln/driver/docker"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	kilntest.Docker(t)
	repository := "kiln-conform-tag/" + kiln.RandomName(8)
	kilntest.TestPostProcessor(t, kilntest.PostProcessorOptions{
		New: func() kiln.PostProcessor { return &PostProcessor{Repository: repository, Tags: []string{"a", "b"}} },
		In: func() *kiln.Artifact {
			return &kiln.Artifact{Builder: docker.ImportID, ID: kilntest.BusyboxImage, Data: map[string]any{"ID": "1"}}
		},
		Left:   func() []string { return kilntest.DockerImages(t, "reference="+repository) },
		Reaper: func(string) (kiln.Reaper, bool) { return new(builder.Builder), true },
	})
}

// What no engine takes is found before anything is baked.
func TestValidate(t *testing.T) {
	for _, c := range []struct {
		p    PostProcessor
		want string
	}{
		{PostProcessor{Repository: "reg.example.com:5000/team/app", Tags: []string{"1.0", "a_b-c", "X"}}, ""},
		{PostProcessor{Repository: ""}, ""}, // not known yet, or reported as missing
		{PostProcessor{Repository: "team/app:1"}, "holds a tag"},
		{PostProcessor{Repository: "team/App"}, "is no name of an image"},
		{PostProcessor{Repository: "team app"}, "is no name of an image"},
		{PostProcessor{Repository: "app", Tags: []string{"1 0"}}, `"1 0" is no tag`},
		{PostProcessor{Repository: "app", Tag: []string{"-x"}}, `"-x" is no tag`},
	} {
		err := c.p.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v, want %q", c.p, err, c.want)
		}
	}
}
