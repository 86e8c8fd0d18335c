package docker

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"kiln"
	"kiln/driver/docker"
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
		{Builder{Image: "a", Commit: true, Changes: []string{"STOPSIGNAL"}}, "STOPSIGNAL takes one signal"},
		{Builder{Image: "a", Commit: true, Changes: []string{"SHELL /bin/sh"}}, "SHELL takes a list in JSON"},
		{Builder{Image: "a", Commit: true, Program: docker.Program{Path: "nerdctl"}}, "is neither docker nor podman"},
		{Builder{Image: "a", Commit: true, Device: []string{"/dev/a:/dev/b:q"}}, "HOST[:CONTAINER][:PERMISSIONS]"},
	} {
		if err := c.b.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

func TestBoot(t *testing.T) {
	kilntest.Docker(t)
	t.Setenv("TMPDIR", t.TempDir())
	run := func(command string) string {
		out, err := exec.Command("sh", "-c", command).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	id := strings.TrimSpace(run("docker image inspect -f {{.Id}} " + kilntest.BusyboxImage))
	kilntest.TestBooter(t, kilntest.BooterOptions{
		New: func() kiln.Builder {
			b := new(Builder)
			schema.Defaults(b)
			return b
		},
		Artifact: &kiln.Artifact{ID: id},
		Gone:     &kiln.Artifact{ID: "sha256:" + strings.Repeat("0", 64)},
		State:    func() string { return run("docker image inspect -f {{.RootFS.Layers}} " + id) },
		Left: func() []string {
			return strings.Fields(run("docker ps -aq --filter name=kiln-test; ls $TMPDIR"))
		},
	})
}
