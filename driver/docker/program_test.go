package docker

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestProgram(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"podman", "other"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("podman", filepath.Join(dir, "containers")); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: no symbolic links here: %v", err)
	}
	for path, want := range map[string]string{
		"": "docker", "docker": "docker", "/no/such/folder/docker": "docker", "podman": "podman",
		"/usr/bin/podman": "podman", "podman-remote": "podman", filepath.Join(dir, "containers"): "podman",
		"nerdctl": "", filepath.Join(dir, "other"): "", "sudo docker": "", "/usr/bin/docker/": "docker",
	} {
		p := Program{Path: path}
		got, err := p.name()
		if got != want || (err != nil) != (want == "") || (p.Check() != nil) != (err != nil) {
			t.Errorf("%q: %q, %v, want %q", path, got, err, want)
		}
	}
}

func TestPodmanHost(t *testing.T) {
	t.Setenv("DOCKER_HOST", "tcp://elsewhere:2375")
	t.Setenv("CONTAINER_HOST", "unix:///of/podman")
	if host, err := podmanHost(); host != "unix:///of/podman" || err != nil {
		t.Errorf("%q, %v", host, err)
	}
	t.Setenv("CONTAINER_HOST", "ssh://core@127.0.0.1:1/run/podman/podman.sock")
	if _, err := podmanHost(); err == nil || !strings.Contains(err.Error(), "is not reached by ssh") {
		t.Errorf("got %v", err)
	}
	t.Setenv("CONTAINER_HOST", "")
	t.Setenv("DOCKER_HOST", "unix:///of/podman/api.sock")
	if host, err := podmanHost(); host != "unix:///of/podman/api.sock" || err != nil {
		t.Errorf("%q, %v", host, err)
	}
}

// A service that does not run, or is not one, is an error that says how to start it.
func TestOpenPodman(t *testing.T) {
	t.Setenv("DOCKER_HOST", "")
	socket := filepath.Join(t.TempDir(), "s")
	t.Setenv("CONTAINER_HOST", "unix://"+socket)
	p := Program{Path: "podman"}
	const start = "podman system service --time=0"
	if _, err := p.Open(t.Context()); err == nil || !strings.Contains(err.Error(), start) {
		t.Errorf("got %v", err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Skipf("SKIPPED, NOT TESTED: no sockets here: %v", err)
	}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	defer listener.Close()
	if _, err := p.Open(t.Context()); err == nil || !strings.Contains(err.Error(), start) {
		t.Errorf("got %v", err)
	}
}
