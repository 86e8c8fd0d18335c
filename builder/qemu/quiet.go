package qemu

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"kiln"
)

// A machine that starts from a layer has been switched off meanwhile. So a layer is kept only
// where nothing of what the steps did is lost by that, as far as can be seen from within:
// no process goes on that would not be started again, nothing is mounted, and nothing lies
// in folders that are emptied when the machine starts.

// lookCommand prints that. It ends with what is on its way to the disk.
const lookCommand = `echo shell $$
cat /proc/[0-9]*/stat 2>/dev/null | sed 's/^/process /'
sed 's/^/mount /' /proc/mounts
find /tmp /dev/shm -mindepth 1 2>/dev/null | sed 's/^/file /'
sync`

// running is what a machine has in its memory alone.
type running struct {
	processes map[string]int // of each name, how many
	ids       map[string][]string
	mounts    map[string]bool
	files     map[string]bool
}

// memory asks the guest.
func (m *machine) memory(ctx context.Context) (*running, error) {
	var out bytes.Buffer
	if err := m.way.Run(ctx, &kiln.Cmd{Command: lookCommand, Stdout: &out}); err != nil {
		return nil, err
	}
	return parseRunning(out.String()), nil
}

// process is a line of /proc/PID/stat.
type guestProcess struct {
	id, parent, name string
	kernel           bool
}

// kernelThread is a flag of processes that the kernel has for itself.
const kernelThread = 0x00200000

func parseProcess(line string) (p guestProcess, ok bool) {
	open, shut := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || shut < open {
		return p, false
	}
	rest := strings.Fields(line[shut+1:])
	if len(rest) < 7 || rest[0] == "Z" {
		return p, false
	}
	flags, err := strconv.ParseUint(rest[6], 10, 64)
	return guestProcess{
		id: strings.TrimSpace(line[:open]), name: line[open+1 : shut], parent: rest[1],
		kernel: flags&kernelThread != 0,
	}, err == nil
}

func parseRunning(text string) *running {
	r := &running{
		processes: map[string]int{}, ids: map[string][]string{}, mounts: map[string]bool{}, files: map[string]bool{},
	}
	shell := ""
	all := map[string]guestProcess{}
	for line := range strings.Lines(text) {
		kind, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		switch kind {
		case "shell":
			shell = rest
		case "process":
			if p, ok := parseProcess(rest); ok {
				all[p.id] = p
			}
		case "mount":
			if f := strings.Fields(rest); len(f) > 2 && !ofSystem(f[1]) {
				r.mounts[f[1]] = true
			}
		case "file":
			if !strings.Contains(rest, "/systemd-private-") {
				r.files[rest] = true
			}
		}
	}
	// What belongs to our way in is the server that it came by, and all that this started.
	server := shell
	for range all {
		parent := all[server].parent
		if parent == "1" || parent == "0" || parent == "" {
			break
		}
		server = parent
	}
	for id, p := range all {
		if p.kernel || under(all, id, server) {
			continue
		}
		r.processes[p.name]++
		r.ids[p.name] = append(r.ids[p.name], id)
	}
	return r
}

// under reports whether a process is another, or was started by it.
func under(all map[string]guestProcess, id, server string) bool {
	for range len(all) {
		if id == server {
			return true
		}
		p, ok := all[id]
		if !ok {
			return false
		}
		id = p.parent
	}
	return false
}

// ofSystem reports whether what is mounted there is there after each start.
func ofSystem(path string) bool {
	return slices.ContainsFunc([]string{"/run", "/proc", "/sys", "/dev"}, func(dir string) bool {
		return path == dir || strings.HasPrefix(path, dir+"/")
	})
}

// remember looks at the machine before the first step.
func (m *machine) remember(ctx context.Context) error {
	if !m.holdable() {
		return nil
	}
	if m.way.Guest().Shell != kiln.ShellPOSIX {
		m.chain.outside = "the guest has no POSIX shell to look at it with"
		return nil
	}
	before, err := m.memory(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil || len(before.mounts) == 0 {
		m.chain.outside = "the guest does not tell what goes on in it"
		return nil
	}
	m.chain.before = before
	return nil
}

// quiet says why what the steps did would be lost by switching the machine off now.
func (m *machine) quiet(ctx context.Context) error {
	now, err := m.memory(ctx)
	if err != nil {
		return fmt.Errorf("look at what goes on in the guest: %w", err)
	}
	before := m.chain.before
	notNow := func(format string, args ...any) error {
		return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), kiln.ErrNotNow)
	}
	for _, path := range slices.Sorted(maps.Keys(now.files)) {
		if !before.files[path] {
			return notNow("%s would be gone", path)
		}
	}
	if !maps.Equal(now.mounts, before.mounts) {
		return notNow("what is mounted changed")
	}
	for _, name := range slices.Sorted(maps.Keys(now.processes)) {
		if now.processes[name] <= before.processes[name] {
			continue
		}
		for _, id := range now.ids[name] {
			if slices.Contains(before.ids[name], id) {
				continue
			}
			if again, err := m.startsAgain(ctx, id); err != nil || !again {
				if err != nil {
					return err
				}
				return notNow("the process %s goes on", name)
			}
		}
	}
	return nil
}

// startsAgain reports whether a process is of a service that systemd starts, or has started
// when it is needed.
func (m *machine) startsAgain(ctx context.Context, id string) (bool, error) {
	// A process that has ended meanwhile is no matter.
	command := fmt.Sprintf(`test -d /proc/%[1]s || { echo gone; exit 0; }
unit=$(sed -n 's,.*/\([^/]*\.service\).*,\1,p' /proc/%[1]s/cgroup | head -n 1)
test -n "$unit" && systemctl is-enabled "$unit" 2>/dev/null || true`, id)
	var out bytes.Buffer
	if err := m.way.Run(ctx, &kiln.Cmd{Command: command, Stdout: &out}); err != nil {
		return false, fmt.Errorf("look at what goes on in the guest: %w", err)
	}
	switch strings.TrimSpace(out.String()) {
	case "gone", "enabled", "static", "alias", "indirect", "generated", "linked":
		return true, nil
	}
	return false, nil
}
