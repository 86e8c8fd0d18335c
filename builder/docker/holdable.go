package docker

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"kiln"
	way "kiln/communicator/docker"
)

// holdable says why a layer would not hold the container's state as it is now.
func (m *machine) holdable(ctx context.Context) error {
	notKept := func(format string, args ...any) error {
		return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), kiln.ErrNotKept)
	}
	if m.chain.outside != "" {
		return notKept("%s", m.chain.outside)
	}
	if files, err := os.ReadDir(m.shared); err != nil || len(files) > 0 {
		return notKept("%s holds files", m.cfg.ContainerDir)
	}
	if busy, err := m.busy(ctx); err != nil {
		return err
	} else if busy != "" {
		return notKept("a process goes on in the container (%s)", busy)
	}
	state, err := m.state(ctx)
	if err != nil {
		return notKept("the container's mounts cannot be looked at (%v)", err)
	}
	if state != m.chain.baseline {
		return notKept("what is in %s changed", changedParts(m.chain.baseline, state))
	}
	return nil
}

// stateParts are what a container has beside its file system's layers: the files that
// the engine mounts over the image's, shared memory and further mounts.
var stateParts = []struct{ name, command string }{
	{"/etc/hosts", "cat /etc/hosts"},
	{"/etc/resolv.conf", "cat /etc/resolv.conf"},
	{"/etc/hostname", "cat /etc/hostname"},
	{"/dev", "ls -A /dev; find /dev -name pts -prune -o -name shm -prune -o -type f -exec ls -l {} \\;"},
	{"/dev/shm", "ls -lAR /dev/shm"},
	{"/proc/mounts", "cat /proc/mounts"},
}

// stateMark stands between the parts.
const stateMark = "\x00kiln-part\x00"

// state is a description of that.
func (m *machine) state(ctx context.Context) (string, error) {
	var command strings.Builder
	for _, p := range stateParts {
		fmt.Fprintf(&command, "%s 2>/dev/null; printf '\\0kiln-part\\0'; ", p.command)
	}
	var out bytes.Buffer
	c := way.New(m.engine, m.name, way.Options{User: "0"})
	err := c.Run(ctx, &kiln.Cmd{Command: command.String(), Stdout: &out})
	return out.String(), err
}

func changedParts(before, after string) string {
	a, b := strings.Split(before, stateMark), strings.Split(after, stateMark)
	var names []string
	for i, p := range stateParts {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			names = append(names, p.name)
		}
	}
	return strings.Join(names, ", ")
}

// busy names a process that a step has left behind. One that is about to end has a
// moment for it.
func (m *machine) busy(ctx context.Context) (name string, err error) {
	for pause := 5 * time.Millisecond; ; pause *= 2 {
		name, err = m.leftProcess(ctx)
		if name == "" || err != nil || pause > 100*time.Millisecond {
			return name, err
		}
		if err := kiln.Sleep(ctx, pause); err != nil {
			return "", err
		}
	}
}

func (m *machine) leftProcess(ctx context.Context) (string, error) {
	res, err := m.engine.ContainerTop(
		ctx,
		m.name,
		client.ContainerTopOptions{Arguments: []string{"-eo", "pid,stat,args"}},
	)
	if err != nil {
		return "", fmt.Errorf("list the container's processes: %w", err)
	}
	for _, p := range res.Processes {
		if len(p) < 3 || strings.HasPrefix(p[1], "Z") || m.first[p[0]] {
			continue
		}
		return strings.Join(p[2:], " "), nil
	}
	return "", nil
}

// remember notes the state that a fresh container has beside its layers.
func (m *machine) remember(ctx context.Context) error {
	if !m.chain.wanted || m.chain.outside != "" {
		return nil
	}
	looked := make(chan error, 1)
	go func() { // beside the list of processes, which takes as long and may name it
		var err error
		m.chain.baseline, err = m.state(ctx)
		looked <- err
	}()
	res, err := m.engine.ContainerTop(
		ctx,
		m.name,
		client.ContainerTopOptions{Arguments: []string{"-eo", "pid,stat,args"}},
	)
	unseen := <-looked
	if err != nil {
		return fmt.Errorf("list the container's processes: %w", err)
	}
	m.first = map[string]bool{}
	for _, p := range res.Processes {
		if len(p) > 0 {
			m.first[p[0]] = true
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if unseen != nil {
		m.chain.outside = "the container has no shell to look at its mounts with"
	}
	return nil
}

// noteCovered finds out whether the container changes or removes what a layer below it
// may hold.
func (m *machine) noteCovered(ctx context.Context) error {
	if m.chain.covered || m.chain.from == m.source.ID {
		return nil
	}
	diff, err := m.engine.ContainerDiff(ctx, m.name, client.ContainerDiffOptions{})
	if err != nil {
		return fmt.Errorf("list the container's changes: %w", err)
	}
	m.chain.covered = covers(diff.Changes)
	return nil
}

// covers reports whether changes remove something, or change a file. A folder is among
// them whenever something in it is.
func covers(changes []container.FilesystemChange) bool {
	folders := map[string]bool{}
	for _, c := range changes {
		folders[c.Path[:strings.LastIndexByte(c.Path, '/')]] = true
	}
	return slices.ContainsFunc(changes, func(c container.FilesystemChange) bool {
		return c.Kind == container.ChangeDelete || c.Kind == container.ChangeModify && !folders[c.Path]
	})
}
