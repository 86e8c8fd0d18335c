package qemu

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kiln/kilntest"
	"kiln/kilntest/disk"
)

// characters is how much is typed: with 2,000 it is 71 s, and Packer 607 s, on two cores
// that are busy.
const characters = 280

// Text with every sign of the keyboard is typed at a guest that has none too much time, and
// each arrives.
func TestTyping(t *testing.T) {
	needEmulator(t)
	tiny := disk.Tiny(t)
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("PACKER_CACHE_DIR", filepath.Join(dir, "cache"))
	c := configured(t, func(c *Builder) {
		c.ISO.URL, c.ISO.Checksum, c.DiskImage, c.SkipResize = tiny.Path, "none", true, true
		c.Communicator, c.Headless, c.Accelerator, c.Memory = "none", true, "tcg", 256
	})
	if err := c.Validate(); err != nil && !strings.Contains(err.Error(), "A checksum of 'none'") {
		t.Fatal(err)
	}
	b, _ := kilntest.NewBuild(t)
	started, err := c.Start(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	m := started.(*machine)
	console := func() string {
		text, err := os.ReadFile(m.vm.Console)
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(text), "\r", "")
	}
	kilntest.Eventually(t, "the guest is up", func() bool { return strings.Contains(console(), "tiny: up after") })
	signs := ""
	for sign := byte(' '); sign <= '~'; sign++ {
		signs += string(sign)
	}
	signs = strings.TrimSpace(signs) // the shell that reads lines keeps blanks within them alone
	var lines []string
	for n := 0; len(strings.Join(lines, "")) < characters; n++ {
		lines = append(lines, fmt.Sprintf("%d %s", n, signs))
	}
	c.Boot.BootWait = -1
	for _, line := range lines {
		c.Boot.BootCommand = append(c.Boot.BootCommand, "{{`"+strings.ReplaceAll(line, "`", "`}}{{\"`\"}}{{`")+"`}}", "<enter>")
	}
	begin := time.Now()
	if err := m.typeAt(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	kilntest.Eventually(t, "the last line", func() bool {
		return strings.Count(console(), "typed: ") >= len(lines)
	})
	for _, line := range lines {
		if !strings.Contains(console(), "typed: "+line+"\n") {
			t.Errorf("this line did not arrive: %s", line)
		}
	}
	t.Logf("%d characters in %s; Packer takes %s for their keys", len(strings.Join(lines, " ")), took,
		packerTime(lines))
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// packerTime is how long Packer takes, with its 100 ms after each key event.
func packerTime(lines []string) time.Duration {
	events := 0
	for _, line := range lines {
		events += 2
		for _, c := range line {
			if events += 2; c >= 'A' && c <= 'Z' || strings.ContainsRune(`~!@#$%^&*()_+{}|:"<>?`, c) {
				events += 2
			}
		}
	}
	return time.Duration(events) * 100 * time.Millisecond
}
