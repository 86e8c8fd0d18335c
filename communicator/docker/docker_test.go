package docker_test

import (
	"fmt"
	"os/exec"
	"testing"

	"kiln"
	way "kiln/communicator/docker"
	"kiln/driver/docker"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	kilntest.Docker(t)
	name := "kilnsuite-" + kiln.RandomName(8)
	if out, err := exec.Command("docker", "run", "-d", "--name", name, kilntest.BusyboxImage, "sleep", "600").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("docker", "rm", "-f", name).Run() })
	engine, err := docker.Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
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
