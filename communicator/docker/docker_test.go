package docker_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"kiln"
	way "kiln/communicator/docker"
	"kiln/driver/docker"
	"kiln/kilntest"
)

// container is one that waits.
func container(t *testing.T) (*docker.Engine, string) {
	t.Helper()
	name := "kilnsuite-" + kiln.RandomName(8)
	if out, err := exec.Command("docker", "run", "-d", "--name", name, kilntest.BusyboxImage, "sleep", "600").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("docker", "rm", "-f", name).Run() })
	engine, err := docker.Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return engine, name
}

// A step that was cancelled before its first upload, by a timeout say, may be tried again.
func TestUploadAfterCancelled(t *testing.T) {
	kilntest.Docker(t)
	engine, name := container(t)
	c := way.New(engine, name, way.Options{FixOwner: true})
	upload := func(ctx context.Context) error {
		return c.Upload(ctx, &kiln.Upload{Destination: "/x", Content: strings.NewReader("x"), Size: 1})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := upload(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := upload(t.Context()); err != nil {
		t.Errorf("after that: %v", err)
	}
}

func TestConformance(t *testing.T) {
	kilntest.Docker(t)
	engine, name := container(t)
	kilntest.TestCommunicator(t, func(t *testing.T) kiln.Communicator {
		return way.New(engine, name, way.Options{FixOwner: true})
	}, kilntest.CommunicatorOptions{Dir: "/suite", Busy: true, Through: func(t *testing.T) (kiln.Communicator, *kilntest.Relay) {
		relay, err := kilntest.NewRelay("/var/run/docker.sock", 0)
		if err != nil {
			t.Fatal(err)
		}
		engine, err := docker.Open(t.Context(), fmt.Sprintf("tcp://127.0.0.1:%d", relay.Port()))
		if err != nil {
			t.Fatal(err)
		}
		return way.New(engine, name, way.Options{FixOwner: true}), relay
	}})
}
