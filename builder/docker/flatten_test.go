package docker

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"path"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"kiln"
	"kiln/driver/docker"
	"kiln/kilntest"
)

// An image of several layers becomes one above the source, on an engine that has the
// source's layers already and on one that wants them all.
func TestFlatten(t *testing.T) {
	kilntest.Docker(t)
	t.Run("docker", func(t *testing.T) { testFlatten(t, "") })
	t.Run("podman", func(t *testing.T) { testFlatten(t, kilntest.StartPodman(t)) })
}

func testFlatten(t *testing.T, host string) {
	t.Setenv("TMPDIR", t.TempDir())
	engine, err := docker.Open(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	source, err := engine.ImageInspect(t.Context(), kilntest.BusyboxImage)
	if err != nil {
		t.Fatal(err)
	}
	b := kiln.NewBuild(kiln.Build{Name: "b", Run: "test-" + kiln.RandomName(8)}, kiln.Host{})
	defer func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	m := &machine{cfg: new(Builder), b: b, engine: engine, source: source.InspectResponse}
	lower := imageOf(t, m, source.ID, "echo keep >/kept; echo secret >/removed; mkdir /dir")
	image := imageOf(t, m, lower, "echo more >>/kept; rm -r /removed /dir")
	flat, err := m.flatten(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	info, err := engine.ImageInspect(t.Context(), flat.id)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(info.RootFS.Layers), len(source.RootFS.Layers)+1; got != want {
		t.Errorf("%d layers, want %d", got, want)
	}
	files := map[string]string{}
	err = m.exported(t.Context(), flat.id, func(h *tar.Header, content io.Reader) error {
		text, err := io.ReadAll(content)
		files[path.Clean(h.Name)] = string(text)
		return err
	})
	_, removed := files["removed"]
	_, dir := files["dir"]
	_, shell := files["bin/sh"]
	if err != nil || files["kept"] != "keep\nmore\n" || removed || dir || !shell {
		t.Errorf("%v: kept %q, removed %t, dir %t, sh %t", err, files["kept"], removed, dir, shell)
	}
}

// imageOf is an image of what a command changes in another one.
func imageOf(t *testing.T, m *machine, image, command string) string {
	t.Helper()
	ctx := t.Context()
	r := m.resource("container", "kilnflat-"+kiln.RandomName(8))
	if err := m.b.Own(r, func(ctx context.Context) error { return m.cfg.Reap(ctx, r) }); err != nil {
		t.Fatal(err)
	}
	_, err := m.engine.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name: r.ID, Config: &container.Config{Image: image, Entrypoint: []string{"/bin/sh", "-c"}, Cmd: []string{command}},
	})
	if err == nil {
		_, err = m.engine.ContainerStart(ctx, r.ID, client.ContainerStartOptions{})
	}
	if err == nil {
		wait := m.engine.ContainerWait(ctx, r.ID, client.ContainerWaitOptions{})
		select {
		case end := <-wait.Result:
			if end.StatusCode != 0 {
				err = errors.New("the command failed")
			}
		case err = <-wait.Error:
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	part := m.newPart(commitRepository)
	if err := m.b.Own(part, func(ctx context.Context) error { return m.cfg.Reap(ctx, part) }); err != nil {
		t.Fatal(err)
	}
	res, err := m.engine.ContainerCommit(ctx, r.ID,
		client.ContainerCommitOptions{Reference: part.ID, Config: &container.Config{}})
	if err != nil {
		t.Fatal(err)
	}
	return res.ID
}
