package kilntest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// StartPodman starts a podman service with a store of its own, which has the small image
// of [Docker], and returns its address. The test is skipped where podman is not installed.
func StartPodman(t testing.TB) string {
	t.Helper()
	program, err := exec.LookPath("podman")
	Require(t, "podman", err)
	Docker(t)
	// A short name: a socket's path has at most a hundred characters or so.
	dir, err := os.MkdirTemp("/tmp", "kp")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "containers.conf")
	// By default it raises limits, which a sandbox does not allow.
	text := "[containers]\ndefault_ulimits=[\"nofile=1024:1024\",\"nproc=1024:1024\"]\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	host := "unix://" + dir + "/s"
	service := exec.Command(program, "--root", dir+"/root", "--runroot", dir+"/run",
		"system", "service", "--time=0", host)
	service.Env = append(os.Environ(), "CONTAINERS_CONF="+config)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	service.Stdout, service.Stderr = log, log
	Require(t, "podman", service.Start())
	t.Cleanup(func() {
		remove := exec.Command(program, "--root", dir+"/root", "--runroot", dir+"/run", "rm", "-af", "-t", "0")
		_ = remove.Run() // what is left is seen by whoever looks for it
		_ = service.Process.Signal(syscall.SIGTERM)
		_ = service.Wait()
		_ = exec.Command("umount", "-l", dir+"/root/overlay").Run()
		_ = os.RemoveAll(dir)
	})
	ready := func() error { return exec.Command("docker", "-H", host, "version").Run() }
	for begin := time.Now(); ready() != nil; time.Sleep(50 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			said, _ := os.ReadFile(log.Name())
			Require(t, "podman", fmt.Errorf("its service does not answer: %s", said))
		}
	}
	load := exec.Command("sh", "-c", "docker save "+BusyboxImage+" | docker -H "+host+" load")
	if out, err := load.CombinedOutput(); err != nil {
		Require(t, "podman", fmt.Errorf("load the image: %w: %s", err, out))
	}
	return host
}
