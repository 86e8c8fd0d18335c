package virtualbox

import (
	"context"
	"regexp"
	"strings"
)

// Snapshot is a state of a machine that was kept.
type Snapshot struct {
	Name, UUID string
	Current    bool // the machine's state stands on it
	Parent     *Snapshot
	Children   []*Snapshot
}

// noSnapshots is what is said of a machine without any.
const noSnapshots = "This machine does not have any snapshots"

// Snapshots is the first snapshot of a machine, on which all others stand; nil: there is
// none.
func (p *Program) Snapshots(ctx context.Context, machine string) (*Snapshot, error) {
	out, err := p.Run(ctx, "snapshot", machine, "list", "--machinereadable")
	if strings.Contains(out, noSnapshots) || err != nil && strings.Contains(err.Error(), noSnapshots) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseSnapshots(out), nil
}

// nodeForm is the key of a snapshot: its place is that of its parent and its number there.
var nodeForm = regexp.MustCompile(`^Snapshot(Name|UUID)((?:-[0-9]+)*)$`)

// parseSnapshots reads a tree of snapshots. What has no parent among what was read before
// is left out.
func parseSnapshots(out string) *Snapshot {
	info := Info{}
	var places []string // in the order in which they stand
	for line := range strings.Lines(out) {
		one := parseInfo(line)
		for key, value := range one {
			info[key] = value
			if m := nodeForm.FindStringSubmatch(key); m != nil && m[1] == "Name" {
				places = append(places, m[2])
			}
		}
	}
	nodes := map[string]*Snapshot{}
	var root *Snapshot
	for _, at := range places {
		if nodes[at] != nil {
			continue
		}
		s := &Snapshot{Name: info["SnapshotName"+at], UUID: info["SnapshotUUID"+at]}
		s.Current = s.UUID != "" && s.UUID == info["CurrentSnapshotUUID"]
		switch {
		case at == "":
			root = s
		case nodes[at[:strings.LastIndexByte(at, '-')]] == nil:
			continue
		default:
			s.Parent = nodes[at[:strings.LastIndexByte(at, '-')]]
			s.Parent.Children = append(s.Parent.Children, s)
		}
		nodes[at] = s
	}
	return root
}

// All lists the snapshot and all that stand on it.
func (s *Snapshot) All() (all []*Snapshot) {
	if s == nil {
		return nil
	}
	all = append(all, s)
	for _, c := range s.Children {
		all = append(all, c.All()...)
	}
	return all
}

// Present is the snapshot that the machine's state stands on; nil: none.
func (s *Snapshot) Present() *Snapshot {
	for _, one := range s.All() {
		if one.Current {
			return one
		}
	}
	return nil
}

// Named lists the snapshots of a name, whose letter case does not matter.
func (s *Snapshot) Named(name string) (found []*Snapshot) {
	for _, one := range s.All() {
		if strings.EqualFold(one.Name, name) {
			found = append(found, one)
		}
	}
	return found
}

// Child is the snapshot of exactly that name that stands on this one directly; nil: none.
func (s *Snapshot) Child(name string) *Snapshot {
	if s == nil {
		return nil
	}
	for _, c := range s.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}
