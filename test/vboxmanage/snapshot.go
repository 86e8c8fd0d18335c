//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func snapshotVM(r *registry, args []string) error {
	if len(args) < 2 {
		return usage("Not enough parameters")
	}
	m, err := r.machine(args[0])
	if err != nil {
		return err
	}
	word, rest := args[1], args[2:]
	if word == "list" {
		return m.listSnapshots(rest)
	}
	if m, err = r.mutable(args[0]); err != nil {
		return err
	}
	switch word {
	case "take":
		name, rest, err := first(rest, "snapshot name")
		if err != nil {
			return err
		}
		g, _, err := flags{values: []string{"description", "uniquename"}, bools: []string{"live"}}.parse(rest)
		if err != nil {
			return err
		}
		return r.take(m, name, g.get("description"))
	case "restorecurrent":
		if m.Current == "" {
			return refuse(notFound, "This machine does not have any snapshots")
		}
		return r.restore(m, m.snapshot(m.Current))
	case "delete", "restore":
		name, _, err := first(rest, "snapshot name or UUID")
		if err != nil {
			return err
		}
		s := m.snapshot(name)
		if s == nil {
			return refuse(notFound, "Could not find a snapshot named '%s'", name)
		}
		if word == "restore" {
			return r.restore(m, s)
		}
		return m.remove(s)
	}
	return usage("Invalid parameter '%s'", word)
}

// snapshot finds a snapshot by its UUID, or the first of a name.
func (m *machine) snapshot(name string) *snapshot {
	for _, s := range m.Snapshots {
		if s.UUID == strings.Trim(name, "{}") || s.Name == name {
			return s
		}
	}
	return nil
}

func (m *machine) children(uuid string) (all []*snapshot) {
	for _, s := range m.Snapshots {
		if s.Parent == uuid {
			all = append(all, s)
		}
	}
	return all
}

// duplicate copies a disk without its holes.
func duplicate(from, to string) error {
	out, err := exec.Command("cp", "--sparse=always", from, to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("copy disk: %w: %s", err, out)
	}
	return nil
}

func (r *registry) take(m *machine, name, description string) error {
	s := &snapshot{Name: name, UUID: newUUID(), Parent: m.Current, Description: description,
		Config: m.config.clone(), Disks: map[string]string{}}
	if err := os.MkdirAll(m.in("Snapshots"), 0o700); err != nil {
		return err
	}
	for _, c := range m.Controllers {
		for at, slot := range c.Slots {
			if slot.Type == "hdd" {
				s.Disks[slot.Medium] = filepath.Join(m.in("Snapshots"), s.UUID+"-"+c.Name+"-"+at)
			}
		}
	}
	err := r.working(m, func() error {
		for disk, kept := range s.Disks {
			if err := duplicate(disk, kept); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if m, err = r.machine(m.UUID); err != nil {
		return err
	}
	m.Snapshots, m.Current = append(m.Snapshots, s), s.UUID
	fmt.Printf("0%%...10%%...100%%\nSnapshot taken. UUID: %s\n", s.UUID)
	return nil
}

func (r *registry) restore(m *machine, s *snapshot) error {
	fmt.Printf("Restoring snapshot '%s' (%s)\n", s.Name, s.UUID)
	err := r.working(m, func() error {
		for disk, kept := range s.Disks {
			if err := duplicate(kept, disk); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if m, err = r.machine(m.UUID); err != nil {
		return err
	}
	m.config, m.Current = s.Config.clone(), s.UUID
	fmt.Println("0%...10%...100%")
	return nil
}

// remove merges a snapshot into what stands on it.
func (m *machine) remove(s *snapshot) error {
	children := m.children(s.UUID)
	if len(children) > 1 {
		return refuse(wrongState, "Snapshot '%s' of the machine '%s' cannot be deleted, because it has %d child "+
			"snapshots, which is more than the one snapshot allowed for deletion", s.Name, m.Name, len(children))
	}
	for _, c := range children {
		c.Parent = s.Parent
	}
	if m.Current == s.UUID {
		m.Current = s.Parent
	}
	for _, kept := range s.Disks {
		if err := os.Remove(kept); err != nil {
			return err
		}
	}
	m.Snapshots = slices.DeleteFunc(m.Snapshots, func(o *snapshot) bool { return o == s })
	fmt.Printf("Deleting snapshot '%s' (%s)\n0%%...10%%...100%%\n", s.Name, s.UUID)
	return nil
}

func (m *machine) listSnapshots(args []string) error {
	g, _, err := flags{bools: []string{"machinereadable", "details"}}.parse(args)
	if err != nil {
		return err
	}
	if len(m.Snapshots) == 0 {
		fmt.Println("This machine does not have any snapshots")
		return &fault{}
	}
	m.tree("", "", g.has("machinereadable"))
	return nil
}

// tree prints the snapshots below one, whose place in the tree is as "-1-2".
func (m *machine) tree(parent, place string, machine bool) {
	for i, s := range m.children(parent) {
		at := place + "-" + strconv.Itoa(i+1)
		if parent == "" {
			at = place
		}
		switch {
		case machine:
			fmt.Printf("SnapshotName%s=%q\nSnapshotUUID%s=%q\n", at, s.Name, at, s.UUID)
			if s.Description != "" {
				fmt.Printf("SnapshotDescription%s=%q\n", at, s.Description)
			}
		default:
			mark := ""
			if s.UUID == m.Current {
				mark = " *"
			}
			indent := strings.Repeat("   ", strings.Count(at, "-")+1)
			fmt.Printf("%sName: %s (UUID: %s)%s\n", indent, s.Name, s.UUID, mark)
		}
		if machine && s.UUID == m.Current {
			defer fmt.Printf("CurrentSnapshotName=%q\nCurrentSnapshotUUID=%q\nCurrentSnapshotNode=%q\n",
				s.Name, s.UUID, "SnapshotName"+at)
		}
		m.tree(s.UUID, at, machine)
	}
}
