//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// docker times a build of five steps: cold, with nothing changed, and with the
// last step changed.
func (b *bench) docker() error {
	remove, err := b.busybox()
	if err != nil {
		return err
	}
	defer remove()
	template := func(last string) error {
		var steps []string
		for i := range 4 {
			steps = append(
				steps,
				fmt.Sprintf(
					`{"type":"shell","inline":["dd if=/dev/zero of=/f%d bs=1M count=4 2>/dev/null; sleep 0.3"]}`,
					i,
				),
			)
		}
		steps = append(steps, fmt.Sprintf(`{"type":"shell","inline":["echo %s"]}`, last))
		return b.write(
			"docker.json",
			`{"builders":[{"type":"docker","image":"kiln-bench:1","pull":false,"discard":true}],"provisioners":[`+strings.Join(
				steps,
				",",
			)+`]}`,
		)
	}
	if err := template("one"); err != nil {
		return err
	}
	build := []string{*kiln, "build", "docker.json"}
	prune := func() error {
		_, err := b.once(*kiln, "cache", "-all", "prune")
		return err
	}
	cold, _, err := b.pair(prune, build, nil)
	if err != nil {
		return err
	}
	again, _, err := b.pair(nil, build, nil)
	if err != nil {
		return err
	}
	n := 0
	changed, _, err := b.pair(func() error { n++; return template(fmt.Sprint("two", n, os.Getpid())) }, build,
		nil)
	if err != nil {
		return err
	}
	row("docker build of 5 steps, nothing changed, beside cold", again.wall, cold.wall, "< 0.2")
	row("docker build of 5 steps, last changed, beside cold", changed.wall, cold.wall, "one step runs")
	return prune()
}

// busybox makes a small image for builds, and says how to remove it again.
func (b *bench) busybox() (remove func(), err error) {
	const script = `set -e; d=$(mktemp -d); mkdir -p $d/bin $d/tmp; cp /bin/busybox $d/bin/
		for a in sh cat rm chmod dd sleep ls; do ln -s busybox $d/bin/$a; done
		tar -C $d -c . | docker import - kiln-bench:1; rm -rf $d`
	if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make image: %w: %s", err, out)
	}
	return func() { _ = exec.Command("docker", "rmi", "-f", "kiln-bench:1").Run() }, nil
}
