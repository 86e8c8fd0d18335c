//go:build linux

package test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kiln/kilntest"
)

// crashes is how often a build is killed, half of them with docker, half over SSH.
const crashes = 100

// TestKill kills builds at random moments. After a clean-up, containers, images,
// temporary files and processes are as before, and what others own is untouched.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOT TESTED: -short leaves out the hundred crashes")
	}
	// An engine of its own: all that is in it is counted.
	host, _, _ := dockerd(t)
	t.Setenv("DOCKER_HOST", host)
	server := kilntest.StartSSHD(t)
	dir := t.TempDir()
	tmp := filepath.Join(dir, "tmp")
	writeCrashTemplates(t, dir, server)
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		t.Fatal(err)
	}
	other := command(t, dir, "docker", "run", "-d", "--network=none", "--name",
		"kiln-not-ours-"+fmt.Sprint(os.Getpid()), kilntest.BusyboxImage, "sleep", "1000")
	t.Cleanup(func() { exec.Command("docker", "rm", "-f", strings.TrimSpace(other)).Run() })

	command(t, dir, program, "cache", "prune", "-all")
	before := state(t, dir, tmp)
	finished := 0
	// How long the builds take on this machine: the shortest time in which one has ended.
	templates, longest := []string{"docker.pkr.hcl", "ssh.pkr.hcl"}, map[string]time.Duration{}
	for _, template := range templates {
		longest[template] = time.Minute
	}
	for n := range crashes {
		template := templates[n%len(templates)]
		after := rand.N(longest[template])
		if n < len(templates) {
			after = longest[template] // these two show how long it takes
		}
		if took, ended := crash(t, dir, tmp, template, after); ended {
			finished++
			longest[template] = min(longest[template], took)
			command(t, dir, "docker", "rmi", "-f", "kiln-crash/image:never-kept")
		}
		command(t, dir, program, "cleanup")
		// Layers that were complete stay: they spare the next build their steps.
		command(t, dir, program, "cache", "prune", "-all")
		if now := state(t, dir, tmp); !slices.Equal(now, before) {
			t.Fatalf("crash %d (%s after %s) left something:\nbefore %q\nafter  %q\nimages:\n%s", n, template, after,
				before, now, command(t, dir, "docker", "images", "-a"))
		}
	}
	t.Logf("%d crashes, %d builds were quicker than their end", crashes, finished)
	if finished > crashes/2 {
		t.Errorf("%d of %d builds finished before they were killed: the test shows little", finished, crashes)
	}
}

// crash kills a build after a while and reports whether it had finished by then, and in
// which time: one that was killed when it had reported its image has an image.
func crash(t *testing.T, dir, tmp, template string, after time.Duration) (took time.Duration, finished bool) {
	t.Helper()
	cmd := exec.Command(program, "build", template)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "KILN_HOME="+filepath.Join(dir, "home"), "TMPDIR="+tmp,
		"GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out bytes.Buffer
	cmd.Stdout = &out
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	return time.Since(begin), err == nil || strings.Contains(out.String(), "Build 'docker.x' finished") ||
		strings.Contains(out.String(), "Build 'null.x' finished")
}

// writeCrashTemplates writes a template of each kind that is killed, and a tree that
// they upload.
func writeCrashTemplates(t *testing.T, dir string, server *kilntest.SSHD) {
	t.Helper()
	write(t, dir, "docker.pkr.hcl", `
source "docker" "x" {
  image  = "`+kilntest.BusyboxImage+`"
  pull   = false
  commit = true
  run_command = ["-d", "-i", "-t", "--network=none", "--entrypoint=/bin/sh", "--", "{{.Image}}"]
}
build {
  sources = ["docker.x"]
  provisioner "file" {
    source      = "tree"
    destination = "/tree"
  }
  provisioner "shell-local" { inline = ["sleep 0.05 # kilncrash"] }
  provisioner "shell" { inline = ["sleep 0.05; echo $RANDOM >/r"] }
  post-processor "docker-tag" {
    repository = "kiln-crash/image"
    tags       = ["never-kept"]
  }
}
`)
	write(t, dir, "ssh.pkr.hcl", fmt.Sprintf(`
source "null" "x" {
  ssh_host             = "127.0.0.1"
  ssh_port             = %d
  ssh_username         = "root"
  ssh_private_key_file = %q
}
build {
  sources = ["null.x"]
  provisioner "shell-local" { inline = ["sleep 0.05 # kilncrash"] }
  provisioner "file" {
    source      = "tree"
    destination = "%s/guest"
  }
  provisioner "file" {
    direction   = "download"
    source      = "%s/guest/f1"
    destination = "back/"
  }
  post-processor "manifest" {}
}
`, server.Port, server.KeyFile, dir, dir))
	for i := range 50 {
		write(t, dir, fmt.Sprintf("tree/f%d", i), strings.Repeat("x", 4096))
	}
}

// state is all that a build may leave: containers, images, temporary files and
// processes.
func state(t *testing.T, dir, tmp string) []string {
	t.Helper()
	var all []string
	all = append(all, strings.Fields(command(t, dir, "docker", "ps", "-aq", "--no-trunc"))...)
	images := strings.Fields(command(t, dir, "docker", "images", "-aq", "--no-trunc"))
	slices.Sort(images)
	all = append(all, slices.Compact(images)...)
	entries, err := os.ReadDir(tmp)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	parts, err := filepath.Glob(filepath.Join(dir, "*", "*.kiln-*"))
	if err != nil {
		t.Fatal(err)
	}
	journals, err := filepath.Glob(filepath.Join(dir, "home", "journal", "*"))
	if err != nil {
		t.Fatal(err)
	}
	// A process that was killed takes a moment to be gone.
	kilntest.Eventually(t, "the processes of a build are gone", func() bool {
		return exec.Command("pgrep", "-f", "kilncrash").Run() != nil
	})
	return append(append(all, parts...), journals...)
}

func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "KILN_HOME="+filepath.Join(dir, "home"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return string(out)
}
