//go:build unix

// Command bench times Kiln against Debian's packer and the plain tools, in one run,
// and prints ratios: make bench. It asserts nothing; the aims are next to the
// figures.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

var (
	kiln   = flag.String("kiln", "bin/kiln", "the program to time")
	packer = flag.String("packer", "/usr/bin/packer", "the peer")
	rounds = flag.Int("rounds", 5, "rounds of each measurement; the median counts")
	only   = flag.String("only", "", "measure only rows whose name contains this")
)

// bench is one run of the benchmark.
type bench struct {
	dir string
	env []string
}

// sample is one timed command.
type sample struct {
	wall time.Duration
	rss  int64 // bytes
}

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "kiln-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if *kiln, err = filepath.Abs(*kiln); err != nil {
		return err
	}
	b := &bench{dir: dir, env: append(os.Environ(), "KILN_HOME="+filepath.Join(dir, "home"),
		"CHECKPOINT_DISABLE=1", "PACKER_CACHE_DIR="+filepath.Join(dir, "cache"))}
	version, _ := exec.Command(*packer, "version").Output()
	fmt.Printf("Kiln beside %s, medians of %d rounds\n\n", strings.Fields(string(version) + " no packer")[:2],
		*rounds)
	fmt.Printf("%-58s %10s %10s %8s   %s\n", "what", "kiln", "baseline", "ratio", "aim")
	for _, m := range []struct {
		name string
		do   func() error
	}{
		{"validate", b.validate}, {"null builds", b.nullBuilds}, {"fleet", b.fleet}, {"folder", b.folder}, {"ssh", b.ssh},
		{"docker", b.docker}, {"layers", b.layers}, {"ready", b.ready}, {"checksum", b.checksum}, {"compress", b.compress},
		{"qemu", b.qemu},
	} {
		if !strings.Contains(m.name, *only) {
			continue
		}
		if err := m.do(); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

// row prints one comparison.
func row(name string, a, b time.Duration, aim string) {
	ratio := "-"
	if b > 0 {
		ratio = fmt.Sprintf("%.3f", float64(a)/float64(b))
	}
	fmt.Printf("%-58s %10s %10s %8s   %s\n", name, a.Round(100*time.Microsecond), b.Round(100*time.Microsecond),
		ratio, aim)
}

// once runs a command and says how long it took and how much memory it used.
func (b *bench) once(name string, args ...string) (sample, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = b.dir, b.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	err := cmd.Run()
	s := sample{wall: time.Since(start)}
	if err != nil {
		text := out.String()
		return s, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, text[max(0, len(text)-2000):])
	}
	s.rss = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	return s, nil
}

// pair times two commands in turn. Before each, the other things are put in order.
func (b *bench) pair(before func() error, first, second []string) (x, y sample, err error) {
	var xs, ys []sample
	for range *rounds {
		for i, cmd := range [][]string{first, second} {
			if cmd == nil {
				continue
			}
			if before != nil {
				if err := before(); err != nil {
					return x, y, err
				}
			}
			s, err := b.once(cmd[0], cmd[1:]...)
			if err != nil {
				return x, y, err
			}
			if i == 0 {
				xs = append(xs, s)
			} else {
				ys = append(ys, s)
			}
		}
	}
	return median(xs), median(ys), nil
}

func median(all []sample) sample {
	if len(all) == 0 {
		return sample{}
	}
	slices.SortFunc(all, func(a, b sample) int { return int(a.wall - b.wall) })
	return all[len(all)/2]
}

func (b *bench) write(name, text string) error {
	path := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
