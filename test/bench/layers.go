//go:build unix

package main

import (
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// layers times what keeping layers costs: a cold build whose first step writes 100 MiB
// and whose ten later steps write little, beside the same build with -no-cache; and
// weighs all its layers beside what the build changed.
func (b *bench) layers() error {
	remove, err := b.busybox()
	if err != nil {
		return err
	}
	defer remove()
	steps := []string{`{"type":"shell","inline":["dd if=/dev/urandom of=/big bs=1M count=100 2>/dev/null"]}`}
	for i := range 10 {
		steps = append(steps, fmt.Sprintf(`{"type":"shell","inline":["echo %d >/f%d"]}`, i, i))
	}
	err = b.write(
		"layers.json",
		`{"builders":[{"type":"docker","image":"kiln-bench:1","pull":false,"commit":true}],
		"provisioners":[`+strings.Join(steps, ",")+`],
		"post-processors":[{"type":"docker-tag","repository":"kiln-bench/layers"}]}`,
	)
	if err != nil {
		return err
	}
	prune := func() error {
		_ = exec.Command("docker", "rmi", "-f", "kiln-bench/layers").Run() // of an earlier round, if any
		_, err := b.once(*kiln, "cache", "prune", "-all")
		return err
	}
	with, without, err := b.pair(
		prune,
		[]string{*kiln, "build", "layers.json"},
		[]string{*kiln, "build", "-no-cache", "layers.json"},
	)
	if err != nil {
		return err
	}
	row("docker build of 100 MiB and 10 steps, cold, beside -no-cache", with.wall, without.wall, "<= 1.2")
	if err := prune(); err != nil {
		return err
	}
	if _, err := b.once(*kiln, "build", "layers.json"); err != nil {
		return err
	}
	kept, err := b.layerBytes()
	if err != nil {
		return err
	}
	// As times, so that the row shows a ratio of sizes.
	row(
		"all its layers on disk, beside what it changed (MiB as s)",
		time.Duration(kept>>20)*time.Second,
		100*time.Second,
		"<= 2",
	)
	return prune()
}

// layerBytes is the size of all that this benchmark's layers on the engine hold above their images,
// each layer of the engine counted once.
func (b *bench) layerBytes() (int64, error) {
	ls := exec.Command(*kiln, "cache", "ls")
	ls.Env = b.env
	listed, err := ls.Output()
	if err != nil {
		return 0, err
	}
	home, _, _ := strings.Cut(string(listed), "-") // how the keys of this home begin
	const script = `docker images --format "{{.ID}} {{.Tag}}" kiln-layer | grep " $1-" | cut -d" " -f1 |
		xargs -r -n1 docker history --no-trunc --human=false --format '{{.ID}} {{.Size}} {{.Comment}}' | sort -u`
	out, err := exec.Command("sh", "-c", script, "sh", home).Output()
	if err != nil {
		return 0, err
	}
	var all int64
	for line := range strings.Lines(string(out)) {
		var id string
		var size int64
		if _, err := fmt.Sscan(line, &id, &size); err == nil && strings.Contains(line, "kiln layer") {
			all += size
		}
	}
	return all, nil
}
