package kilntest_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kiln"
	"kiln/kilntest"
)

// faulty is a component that breaks one promise: the one that Fault names.
type faulty struct {
	Fault string
	Count int
	Token string `kiln:"token,sensitive"`
}

func (f *faulty) Validate() error {
	switch {
	case f.Fault == "panics" && f.Count < 0:
		panic("negative")
	case f.Fault == "writes in Validate":
		return os.WriteFile("made", nil, 0o644)
	case f.Fault == "changes what was given":
		f.Token = "other"
	}
	return nil
}

func (f *faulty) Provision(ctx context.Context, b *kiln.Build, _ kiln.Communicator) error {
	_, err := f.Process(ctx, b, &kiln.Artifact{Data: map[string]any{}})
	return err
}

func (f *faulty) Process(ctx context.Context, b *kiln.Build, in *kiln.Artifact) (*kiln.Artifact, error) {
	if ctx.Err() != nil && f.Fault != "is not cancelled" {
		return nil, ctx.Err()
	}
	path := filepath.Join(os.TempDir(), "faulty-"+kiln.RandomName(6))
	r := kiln.Resource{Kind: kiln.KindFile, ID: path}
	switch f.Fault {
	case "is written to":
		f.Count++
	case "tells a secret":
		b.Say("with %s", f.Token)
	case "leaks":
		go time.Sleep(time.Hour)
	case "writes to its input":
		in.Data["more"] = 1
	case "needs data":
		in.Data["more"] = 1
		delete(in.Data, "more")
	case "needs files":
		_ = in.Files[0]
	case "lists what is not there":
		return &kiln.Artifact{Files: []string{"none"}}, nil
	case "does not own":
		return in, os.WriteFile(path, nil, 0o644)
	case "owns too late":
		b.Say("making")
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			return nil, err
		}
	case "hangs":
		time.Sleep(2 * time.Second)
	}
	if err := b.Own(r, kiln.RemoveFile(r)); err != nil {
		return nil, err
	}
	return in, os.WriteFile(path, nil, 0o644)
}

func (f *faulty) Read(ctx context.Context) (any, error) {
	return map[string]any{f.Fault: 1}, ctx.Err()
}

func (f *faulty) Traits() kiln.Traits {
	if f.Fault == "gives another shape" {
		return kiln.Traits{Shape: map[string]any{"x": 1}}
	}
	return kiln.Traits{Shape: map[string]any{f.Fault: 2}}
}

// faults are the promises, and what the suites say of one who breaks them.
var faults = map[string]string{
	"none":                    "",
	"panics":                  "Validate panics: negative",
	"writes in Validate":      "Validate has effects",
	"changes what was given":  "Validate changes Token",
	"is not cancelled":        "cancelled at moment 0: the error is <nil>, not the context's",
	"is written to":           "the component was written to while it ran",
	"tells a secret":          "the value of a sensitive option is told to everybody",
	"leaks":                   "goroutines are left",
	"writes to its input":     "the input was written to",
	"needs data":              "panic",
	"needs files":             "an artifact without files: it panics",
	"lists what is not there": "the artifact lists none, which does not exist",
	"does not own":            "a whole run: there is",
	"owns too late":           "crashed at moment 2: there is",
	"hangs":                   "cancelled in the middle of something long: ended after",
	"gives another shape":     "it says that it gives",
}

// TestSubject is run by TestSuites, in a process of its own for each fault.
func TestSubject(t *testing.T) {
	fault := os.Getenv("KILN_TEST_FAULT")
	if fault == "" {
		t.Skip("it is run by TestSuites")
	}
	if fault == "hangs" || fault == "leaks" {
		kilntest.SetPatience(time.Second)
	}
	mine := func() *faulty { return &faulty{Fault: fault, Token: "hush-token"} }
	postProcess := func() {
		o := kilntest.PostProcessorOptions{New: func() kiln.PostProcessor { return mine() }}
		kilntest.TestPostProcessor(t, o)
	}
	switch {
	case fault == "gives another shape":
		kilntest.TestDataSource(t, kilntest.DataSourceOptions{New: func() kiln.DataSource { return mine() }})
	case fault == "hangs":
		kilntest.TestProvisioner(t, kilntest.ProvisionerOptions{
			New:  func() kiln.Provisioner { return &faulty{} },
			Slow: func() kiln.Provisioner { return mine() },
		})
	case strings.Contains(fault, "input") || strings.HasPrefix(fault, "needs") || strings.HasPrefix(fault, "lists"):
		postProcess()
	default:
		kilntest.TestProvisioner(t, kilntest.ProvisionerOptions{New: func() kiln.Provisioner { return mine() }})
		if fault == "none" {
			postProcess()
			kilntest.TestDataSource(t, kilntest.DataSourceOptions{New: func() kiln.DataSource { return mine() }})
		}
	}
}

// The suites find each fault.
func TestSuites(t *testing.T) {
	for fault, want := range faults {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSubject$")
			cmd.Env = append(os.Environ(), "KILN_TEST_FAULT="+fault)
			out, err := cmd.CombinedOutput()
			if (err == nil) != (want == "") || !strings.Contains(string(out), want) {
				t.Errorf("%v, want %q:\n%s", err, want, out)
			}
		})
	}
}
