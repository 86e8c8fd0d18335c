//go:build linux

package test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kiln"
	"kiln/kilntest"
)

// qemuCrashes is how often builds of virtual machines are killed.
const qemuCrashes = 30

// TestKillQEMU kills builds of virtual machines at random moments. After a clean-up there is
// no process, file or socket of theirs, and the disk that they started from is as it was.
func TestKillQEMU(t *testing.T) {
	_, err := exec.LookPath("qemu-system-x86_64")
	kilntest.Require(t, "qemu", err)
	// A test's own folder has too long a name for a socket.
	dir, err := os.MkdirTemp("/tmp", "kqk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	kilntest.ROM(t, filepath.Join(dir, "rom"), "up\r\n", false)
	write(t, dir, "disk.raw", strings.Repeat("x", 1<<20))
	write(t, dir, "a.pkr.hcl", `
source "qemu" "x" {
  iso_url          = "disk.raw"
  iso_checksum     = "none"
  disk_image       = true
  skip_resize_disk = true
  firmware         = "rom"
  accelerator      = "tcg"
  machine_type     = "q35"
  disk_interface   = "ide"
  memory           = 16
  headless         = true
  vtpm             = true
  qmp_enable       = true
  http_content     = { "/a" = "b" }
  cd_content       = { "a" = "b" }
  floppy_content   = { "a" = "b" }
  ssh_username     = "root"
  ssh_password     = "x"
  ssh_timeout      = "10m"
}
build {
  source "source.qemu.x" {
    output_directory = "one"
  }
  source "source.qemu.x" {
    name             = "y"
    output_directory = "two"
    skip_compaction  = true
  }
}
`)
	tmp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(tmp, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PACKER_CACHE_DIR", filepath.Join(dir, "cache"))
	mark, err := kiln.Mark(filepath.Join(dir, "disk.raw"))
	if err != nil {
		t.Fatal(err)
	}
	up := whenUp(t, dir, tmp)
	for n := range qemuCrashes {
		after := rand.N(up + up/2)
		crash(t, dir, tmp, "a.pkr.hcl", after)
		command(t, dir, program, "cleanup")
		if found := remains(t, dir); len(found) != 0 {
			t.Fatalf("crash %d after %s left %q", n, after, found)
		}
		if now, err := kiln.Mark(filepath.Join(dir, "disk.raw")); err != nil || now != mark {
			t.Fatalf("crash %d after %s: the disk is another one: %s, %v", n, after, now, err)
		}
	}
}

// whenUp is how long the builds take on this machine until their machines run.
func whenUp(t *testing.T, dir, tmp string) time.Duration {
	begin := time.Now()
	cmd := exec.Command(program, "build", "a.pkr.hcl")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "KILN_HOME="+filepath.Join(dir, "home"), "TMPDIR="+tmp)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kilntest.Eventually(t, "the machines are up", func() bool {
		consoles, _ := filepath.Glob(filepath.Join(dir, "home", "runs", "*", "*.console.log"))
		return len(consoles) == 2
	})
	took := time.Since(begin)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	command(t, dir, program, "cleanup")
	return took
}

// remains are files and processes of builds below a folder.
func remains(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	temporary, err := os.ReadDir(filepath.Join(dir, "tmp"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range slices.Concat(entries, temporary) {
		if !slices.Contains([]string{"rom", "disk.raw", "a.pkr.hcl", "tmp", "cache", "home"}, e.Name()) {
			all = append(all, e.Name())
		}
	}
	processes, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range processes {
		if cwd, err := os.Readlink(link); err == nil && cwd == dir { // one that has ended has none
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(link), "cmdline"))
			all = append(all, fmt.Sprintf("process %q", line))
		}
	}
	return all
}
