package qemu

import (
	"fmt"
	"slices"
	"strings"
)

// A Switch is one switch of the command line with the values of all its occurrences, in
// order. Without a value it stands alone, once.
type Switch struct {
	Name   string // with its dash
	Values []string
}

// Switches are a command line of the emulator. Their order is that in which they were
// first given.
type Switches []Switch

// Add appends an occurrence of a switch.
func (s *Switches) Add(name, value string) {
	for i := range *s {
		if (*s)[i].Name == name {
			(*s)[i].Values = append((*s)[i].Values, value)
			return
		}
	}
	*s = append(*s, Switch{name, []string{value}})
}

// Values are the values of a switch; none where it is absent or stands alone.
func (s Switches) Values(name string) []string {
	for _, one := range s {
		if one.Name == name {
			return one.Values
		}
	}
	return nil
}

// Has reports whether a switch is given, with one dash or two, which is the same to QEMU.
func (s Switches) Has(name string) bool {
	return slices.ContainsFunc(s, func(one Switch) bool {
		return one.Name == name || one.Name == "-"+name
	})
}

// Args are the arguments of the program.
func (s Switches) Args() []string {
	var args []string
	for _, one := range s {
		if len(one.Values) == 0 {
			args = append(args, one.Name)
		}
		for _, v := range one.Values {
			args = append(args, one.Name, v)
		}
	}
	return args
}

// Override puts the rows of a template's qemuargs in the place of defaults. The first
// element of a row is the switch, the others together are one value. A switch that a row
// names loses all that it had by default; others stay. Where no device is netDevice then,
// that device is added, on the network user.0.
func Override(defaults Switches, rows [][]string, netDevice string) (Switches, error) {
	named := map[string][]string{}
	var order []string
	for i, row := range rows {
		if len(row) == 0 {
			return nil, fmt.Errorf("row %d of qemuargs is empty: it must begin with a switch", i+1)
		}
		name, value := row[0], strings.Join(row[1:], "")
		if _, known := named[name]; !known {
			order, named[name] = append(order, name), nil
		}
		if value != "" {
			named[name] = append(named[name], value)
		}
	}
	var all Switches
	for _, one := range defaults {
		if values, ok := named[one.Name]; ok {
			one.Values = values
		}
		all = append(all, Switch{one.Name, slices.Clone(one.Values)})
	}
	for _, name := range order {
		if !slices.ContainsFunc(all, func(one Switch) bool { return one.Name == name }) {
			all = append(all, Switch{name, named[name]})
		}
	}
	isCard := func(device string) bool { return strings.Contains(device, netDevice) }
	if !slices.ContainsFunc(all.Values("-device"), isCard) {
		all.Add("-device", netDevice+",netdev=user.0")
	}
	return all, nil
}
