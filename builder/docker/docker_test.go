package docker

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"kiln"
	"kiln/kilntest"
	"kiln/schema"
)

func TestConformance(t *testing.T) {
	kilntest.Docker(t)
	t.Setenv("TMPDIR", t.TempDir())
	kilntest.TestBuilder(t, kilntest.BuilderOptions{
		New: func() kiln.Builder {
			b := &Builder{Image: kilntest.BusyboxImage, Commit: true}
			schema.Defaults(b)
			b.Pull = false
			if err := b.Validate(); err != nil {
				t.Fatal(err)
			}
			return b
		},
		Left: func() []string {
			out, err := exec.Command("sh", "-c", "docker ps -aq --filter name=kiln-test; docker images -q --filter dangling=true; ls $TMPDIR").Output()
			if err != nil {
				t.Fatal(err)
			}
			return strings.Fields(string(out))
		},
		Provision: func(ctx context.Context, c kiln.Communicator) error {
			return c.Run(ctx, &kiln.Cmd{Command: "echo x >/made"})
		},
	})
}

func TestParseRun(t *testing.T) {
	r, err := parseRun([]string{"-dit", "--entrypoint=/bin/sh", "-e", "A=b", "-v/a:/b", "--network", "host", "-m", "64m", "--device=/dev/x:/dev/y:r", "-p", "127.0.0.1:80:8080", "--", "image", "-c", "true"})
	if err != nil {
		t.Fatal(err)
	}
	if r.image != "image" || strings.Join(r.config.Cmd, " ") != "-c true" || !r.config.Tty || !r.config.OpenStdin || r.config.Env[0] != "A=b" ||
		r.host.Binds[0] != "/a:/b" || r.network != "host" || r.host.Memory != 64<<20 || r.host.Devices[0].CgroupPermissions != "r" || len(r.host.PortBindings) != 1 {
		t.Errorf("got %+v", r)
	}
	for args, want := range map[string]string{"--rm image": `"--rm" of docker run is not understood`, "-d": "names no image", "-x image": `"-x"`, "--env": "needs a value", "-m much image": "-m"} {
		if _, err := parseRun(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		b    Builder
		want string
	}{
		{Builder{Image: "a"}, "no artifact type specified"},
		{Builder{Image: "a", Commit: true, Discard: true}, "more than one of commit, discard and export_path"},
		{Builder{Commit: true}, "image must be specified"},
		{Builder{Image: "a", Build: &Bootstrap{Path: "docker_test.go"}, Commit: true}, "image and build cannot be used together"},
		{Builder{Image: "a", ExportPath: "/tmp"}, "export_path must be a file"},
		{Builder{Image: "a", Commit: true, Changes: []string{"RUN x"}}, `"RUN x" is no instruction`},
		{Builder{Image: "a", Commit: true, Platform: "linux"}, "is no platform"},
		{Builder{Image: "a", Commit: true, DockerPath: "podman"}, "cannot be used"},
	} {
		if err := c.b.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

func FuzzParseRun(f *testing.F) {
	f.Add("-d -i -t --entrypoint=/bin/sh -- image")
	f.Add("-p 1:2 --ulimit x=1:2 image")
	f.Fuzz(func(t *testing.T, text string) {
		// A mistake is an error; nothing panics.
		_, _ = parseRun(strings.Fields(text))
	})
}
