//go:build linux

package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kiln/kilntest"
)

// runUntil starts a build, calls do once its output holds a text, and returns its
// output and exit code.
func runUntil(t *testing.T, dir string, env []string, text string, do func(*exec.Cmd),
	args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = dir, append(append(os.Environ(), "KILN_HOME="+filepath.Join(dir, "home")), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out := filepath.Join(dir, "out.txt")
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	deadline := time.After(5 * time.Minute)
	for seen := false; ; {
		select {
		case <-done:
			said, _ := os.ReadFile(out)
			return string(said), cmd.ProcessState.ExitCode()
		case <-deadline:
			cmd.Process.Signal(syscall.SIGQUIT)
			<-done
			said, _ := os.ReadFile(out)
			t.Fatalf("the build does not end:\n%s", said)
		case <-time.After(20 * time.Millisecond):
			if said, _ := os.ReadFile(out); !seen && bytes.Contains(said, []byte(text)) {
				seen = true
				do(cmd)
			}
		}
	}
}

func contains(t *testing.T, out string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("not said: %s\n%s", w, out)
		}
	}
	if strings.Contains(out, "goroutine ") {
		t.Errorf("a panic:\n%s", out)
	}
}

// open is what the journal of a test's home still names.
func open(t *testing.T, dir string) string {
	t.Helper()
	return command(t, dir, program, "cleanup", "-dry-run")
}

func TestServerKilledInTheMiddle(t *testing.T) {
	s := kilntest.StartSSHD(t)
	dir := t.TempDir()
	write(t, dir, "t.json", fmt.Sprintf(`{"builders":[{"type":"null","ssh_host":"127.0.0.1","ssh_port":%d,"ssh_username":"root","ssh_private_key_file":%q}],
 "provisioners":[{"type":"shell","inline":["echo begun","sleep 30"]}]}`, s.Port, s.KeyFile))
	out, code := runUntil(t, dir, nil, "begun", func(*exec.Cmd) { s.Stop() }, "build", "t.json")
	contains(t, out, "Script disconnected unexpectedly", "Build 'null' errored after")
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	// Nobody can get at the machine any more: what may be left there is named, once.
	contains(t, out, "Left behind by null: provisioner.shell script root@127.0.0.1")
	contains(t, command(t, dir, program, "cleanup"), "it may still be there")
	contains(t, open(t, dir), "Nothing to clean up.")
}

// dockerd starts an engine of its own, which a test may stop.
func dockerd(t *testing.T) (host string, stop, start func()) {
	t.Helper()
	kilntest.Docker(t)
	dir, err := os.MkdirTemp("/tmp", "kd")
	if err != nil {
		t.Fatal(err)
	}
	host = "unix://" + dir + "/s"
	var cmd *exec.Cmd
	start = func() {
		// In namespaces of its own: it must not touch the other engine's bridge, and
		// all of it ends with its first process.
		os.RemoveAll(dir + "/exec")
		os.Remove(dir + "/pid")
		cmd = exec.Command("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc",
			"dockerd", "--host", host, "--data-root", dir+"/data", "--exec-root", dir+"/exec", "--pidfile", dir+"/pid",
			"--bridge", "none", "--iptables=false", "--ip-masq=false", "--storage-driver", "vfs",
			"--userland-proxy=false")
		log, err := os.Create(dir + "/log")
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout, cmd.Stderr = log, log
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			kilntest.Require(t, "docker", err)
		}
		defer func() {
			if text, _ := os.ReadFile(log.Name()); t.Failed() {
				t.Logf("a second dockerd does not start:\n%s", text[max(0, len(text)-2000):])
			}
		}()
		kilntest.Eventually(t, "dockerd answers", func() bool {
			return exec.Command("docker", "-H", host, "version").Run() == nil
		})
	}
	stop = func() {
		cmd.Process.Kill()
		cmd.Wait()
		// Its end comes a moment after that of the program that started it.
		kilntest.Eventually(t, "dockerd has ended", func() bool {
			return exec.Command("pgrep", "-f", "dockerd --host "+host).Run() != nil
		})
	}
	start()
	t.Cleanup(func() {
		exec.Command("sh", "-c", "docker -H "+host+" ps -aq | xargs -r docker -H "+host+" rm -f").Run()
		stop()
		exec.Command("sh", "-c", "for m in $(grep -o ' "+dir+"[^ ]*' /proc/mounts | sort -r); do umount -l $m; "+
			"done; rm -rf "+dir).Run()
	})
	load := exec.Command("sh", "-c", "docker save "+kilntest.BusyboxImage+" | docker -H "+host+" load")
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("load image: %v: %s", err, out)
	}
	return host, stop, start
}

func TestEngineStoppedInTheMiddle(t *testing.T) {
	host, stop, start := dockerd(t)
	dir := t.TempDir()
	write(t, dir, "t.json", `{"builders":[{"type":"docker","image":"`+kilntest.BusyboxImage+`","pull":false,"commit":true,"run_command":["-d","-i","-t","--network=none","--entrypoint=/bin/sh","--","{{.Image}}"]}],
 "provisioners":[{"type":"shell","inline":["echo begun","sleep 30"]}]}`)
	env := []string{"DOCKER_HOST=" + host}
	out, code := runUntil(t, dir, env, "docker: begun", func(*exec.Cmd) { stop() }, "build", "t.json")
	contains(t, out, "errored after", "Left behind by docker: builder.docker container", "kiln cleanup")
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	contains(t, open(t, dir), "builder.docker container kiln-")
	start()
	command(t, dir, program, "cleanup")
	if left := command(t, dir, "docker", "-H", host, "ps", "-aq"); left != "" {
		t.Errorf("containers are left: %s", left)
	}
	contains(t, open(t, dir), "Nothing to clean up.")
}

func TestSecondSignal(t *testing.T) {
	kilntest.Docker(t)
	dir := t.TempDir()
	// The cleanup hangs on a local step that does not end at once.
	write(t, dir, "t.json", `{"builders":[{"type":"docker","image":"`+kilntest.BusyboxImage+`","pull":false,"discard":true}],
 "provisioners":[{"type":"shell-local","inline":["trap '' INT TERM; echo begun; while :; do sleep 1; done"]}]}`)
	out, code := runUntil(t, dir, nil, "docker: begun", func(cmd *exec.Cmd) {
		cmd.Process.Signal(syscall.SIGINT)
		kilntest.Eventually(t, "the first signal is heard", func() bool {
			said, _ := os.ReadFile(filepath.Join(dir, "out.txt"))
			return strings.Contains(string(said), "Cancelling build after receiving interrupt")
		})
		// The same again would be taken for a part of the first if it came at once.
		cmd.Process.Signal(syscall.SIGTERM)
	}, "build", "t.json")
	contains(t, out, "Cancelling build after receiving interrupt", "Second signal", "kiln cleanup")
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(out, "Left behind") == strings.Contains(out, "Cleanly cancelled") ||
		strings.Contains(out, "context canceled") || strings.Contains(out, "-on-error=ask") {
		t.Errorf("what is said is not so:\n%s", out)
	}
	command(t, dir, program, "cleanup")
	contains(t, open(t, dir), "Nothing to clean up.")
	if left := command(t, dir, "docker", "ps", "-aq", "--filter", "name=kiln-2"); left != "" {
		t.Errorf("containers are left: %s", left)
	}
}

func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED, NOT TESTED: a full disk needs root to mount one")
	}
	dir := t.TempDir()
	small := filepath.Join(dir, "small")
	if err := os.Mkdir(small, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=1m,mode=700"); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: no small file system to fill: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(small, syscall.MNT_DETACH) })
	write(t, dir, "big", strings.Repeat("x", 4<<20))

	// The artifact's disk is full: the build fails and the part is gone.
	write(t, dir, "file.json", `{"builders":[{"type":"file","source":"big","target":"small/out"}]}`)
	out, code := runUntil(t, dir, nil, "no such text", nil, "build", "file.json")
	contains(t, out, "no space left on device", "errored after")
	if entries, _ := os.ReadDir(small); code != 1 || len(entries) != 0 {
		t.Errorf("exit code %d, left %v", code, entries)
	}
	contains(t, open(t, dir), "Nothing to clean up.")

	// The journal's disk is full: nothing is made that could not be written down.
	write(t, small, "fill", strings.Repeat("x", 1<<20-8192))
	f, err := os.OpenFile(filepath.Join(small, "rest"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 512))
	}
	f.Close()
	write(t, dir, "made.json", `{"builders":[{"type":"file","content":"x","target":"made/out"}]}`)
	out, code = runUntil(t, dir, []string{"KILN_HOME=" + filepath.Join(small, "home")}, "no such text", nil,
		"build", "made.json")
	contains(t, out, "no space left on device")
	if entries, _ := os.ReadDir(filepath.Join(dir, "made")); code != 1 || len(entries) != 0 {
		t.Errorf("exit code %d, left %v", code, entries)
	}

	// The disk of the logs is full, at once or while the build runs: that is told once, and
	// the build is as good.
	if err := os.Mkdir(filepath.Join(dir, "home"), 0o755); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	os.RemoveAll(filepath.Join(dir, "home", "runs"))
	if err := os.Symlink(small, filepath.Join(dir, "home", "runs")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "logged.json", `{"builders":[{"type":"null","communicator":"none"}],"provisioners":[
		{"type":"shell-local","inline":["cat /dev/zero >small/rest 2>/dev/null || true; echo it is full"]}]}`)
	for _, when := range []string{"at once", "while it runs"} {
		out, code = runUntil(t, dir, nil, "no such text", nil, "build", "logged.json")
		contains(t, out, "it is full", "Build 'null' finished")
		const told = "Warning: the log or the history of this run is not complete"
		if n := strings.Count(out, told); code != 0 || n != 1 {
			t.Errorf("%s: exit code %d, told %d times:\n%s", when, code, n, out)
		}
		os.Remove(filepath.Join(small, "rest"))
		os.Remove(filepath.Join(small, "fill"))
	}
}
