package load

import (
	"context"
	"time"

	"kiln"
	"kiln/internal/template"
)

// fake is a component of every kind, with a field of each shape.
type fake struct {
	Text    string            `kiln:"text"`
	Number  int               `kiln:"number,default=1"`
	Bool    bool              `kiln:"bool"`
	Maybe   *bool             `kiln:"maybe"`
	Wait    time.Duration     `kiln:"wait"`
	List    []string          `kiln:"list"`
	Map     map[string]string `kiln:"map"`
	Both    string            `kiln:"both,render=both"`
	Run     string            `kiln:"run,render=run"`
	One     string            `kiln:"one,oneof=red|green"`
	Secret  string            `kiln:"secret,sensitive"`
	Renamed string            `kiln:"renamed,was=old_name"`
	Never   string            `kiln:"never,refused=it was never so"`
	Nested  *fakeNested       `kiln:"nested"`
	Many    []fakeNested      `kiln:"many"`
}

type fakeNested struct {
	Inner string `kiln:"inner,required"`
	Size  int    `kiln:"size"`
}

func (f *fake) Validate() error {
	if f.Text == "invalid" {
		return kiln.Invalid("text", "text must not be %q", f.Text)
	}
	return nil
}

func (f *fake) Start(context.Context, *kiln.Build) (kiln.Machine, error)        { return nil, nil }
func (f *fake) Provision(context.Context, *kiln.Build, kiln.Communicator) error { return nil }
func (f *fake) Process(_ context.Context, _ *kiln.Build, in *kiln.Artifact) (*kiln.Artifact, error) {
	return in, nil
}
func (f *fake) Read(context.Context) (any, error) { return map[string]any{"text": f.Text, "n": 5}, nil }
func (f *fake) Traits() kiln.Traits               { return kiln.Traits{Generates: []string{"Extra"}} }

func testOptions(path string) template.Options {
	return template.Options{Path: path, PackerVersion: "1.16.0", KilnVersion: "0.1.0",
		Start: time.Unix(1700000000, 0), EvaluateData: true,
		Components: kiln.Components{
			Builders:       map[string]func() kiln.Builder{"fake": func() kiln.Builder { return new(fake) }},
			Provisioners:   map[string]func() kiln.Provisioner{"fake": func() kiln.Provisioner { return new(fake) }},
			PostProcessors: map[string]func() kiln.PostProcessor{"fake": func() kiln.PostProcessor { return new(fake) }},
			DataSources:    map[string]func() kiln.DataSource{"fake": func() kiln.DataSource { return new(fake) }},
		}}
}
