//go:build unix

package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func showVM(r *registry, args []string) error {
	g, words, err := flags{bools: []string{"machinereadable", "details"}, max: 1}.parse(args)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return usage("VM name or UUID required")
	}
	m, err := r.machine(words[0])
	if err != nil {
		return err
	}
	if !g.has("machinereadable") {
		fmt.Printf("Name:                        %s\nGuest OS:                    %s\nUUID:                        %s\n"+
			"Config file:                 %s\nState:                       %s (since %s)\n",
			m.Name, m.OSType, m.UUID, m.file(), m.State, m.Changed.Format("2006-01-02T15:04:05.000000000"))
		return nil
	}
	m.machineReadable()
	return nil
}

func (m *machine) machineReadable() {
	fmt.Printf("name=%q\ngroups=\"/\"\nostype=%q\nUUID=%q\nCfgFile=%q\nSnapFldr=%q\n",
		m.Name, m.OSType, m.UUID, m.file(), m.in("Snapshots"))
	for _, key := range slices.Sorted(maps.Keys(m.Settings)) {
		switch key {
		case "memory", "vram", "cpus":
			fmt.Printf("%s=%s\n", key, m.Settings[key])
		default:
			fmt.Printf("%s=%q\n", key, m.Settings[key])
		}
	}
	for i, c := range m.Controllers {
		fmt.Printf("storagecontrollername%d=%q\nstoragecontrollertype%d=%q\nstoragecontrollerportcount%d=\"%d\"\n",
			i, c.Name, i, c.Chip, i, c.Ports)
	}
	for _, c := range m.Controllers {
		for _, at := range slices.Sorted(maps.Keys(c.Slots)) {
			fmt.Printf("\"%s-%s\"=%q\n", c.Name, at, cmp.Or(c.Slots[at].Medium, "emptydrive"))
		}
	}
	for i, r := range m.Rules {
		fmt.Printf("Forwarding(%d)=%q\n", i, r)
	}
	fmt.Printf("VMState=%q\nVMStateChangeTime=%q\n", m.State, m.Changed.Format("2006-01-02T15:04:05.000000000"))
	if len(m.Snapshots) > 0 {
		m.tree("", "", true)
	}
}

func list(r *registry, args []string) error {
	_, words, err := flags{
		bools: []string{"long", "sorted"}, short: map[string]string{"-l": "long", "-s": "sorted"}, max: 1,
	}.parse(args)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return usage("Missing list category")
	}
	switch words[0] {
	case "vms", "runningvms":
		for _, m := range r.Machines {
			if words[0] == "vms" || m.running() {
				fmt.Printf("%q {%s}\n", m.Name, m.UUID)
			}
		}
	case "hdds", "dvds", "floppies":
		kind := map[string]string{"hdds": "hdd", "dvds": "dvddrive", "floppies": "fdd"}[words[0]]
		for _, m := range r.Media {
			if m.Kind == kind {
				fmt.Printf("UUID:           %s\nState:          created\nLocation:       %s\nStorage format: %s\n\n",
					m.UUID, m.Path, m.Format)
			}
		}
	case "ostypes":
		for _, t := range osTypes {
			fmt.Printf("ID:          %s\nDescription: %s\n\n", t.id, t.text)
		}
	case "systemproperties":
		fmt.Printf("API version:                     7_0\nDefault machine folder:          %s\n"+
			"Default Guest Additions ISO:     %s\nLogging Level:                   all\n", r.Folder, additions())
	case "extpacks":
		fmt.Println("Extension Packs: 0")
	default:
		return usage("Unknown subcommand: %s", words[0])
	}
	return nil
}

// additions is the ISO of the guest additions, where a test has put one.
func additions() string {
	path := filepath.Join(home(), "VBoxGuestAdditions.iso")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return strings.TrimSpace(path)
}
