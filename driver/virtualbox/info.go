package virtualbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Info is what `showvminfo --machinereadable` says of a machine.
type Info map[string]string

// Info asks for a machine by its name or UUID. One that is not registered is an error
// that [Unknown] knows.
func (p *Program) Info(ctx context.Context, machine string) (Info, error) {
	out, err := p.Run(ctx, "showvminfo", machine, "--machinereadable")
	if err != nil {
		return nil, err
	}
	return parseInfo(out), nil
}

// parseInfo reads lines of the form KEY=VALUE, each of which may be in quotes.
func parseInfo(out string) Info {
	info := Info{}
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\r\n")
		key, value := "", ""
		if quoted, ok := strings.CutPrefix(line, `"`); ok {
			key, value, ok = strings.Cut(quoted, `"=`)
			if !ok {
				continue
			}
		} else if key, value, ok = strings.Cut(line, "="); !ok {
			continue
		}
		info[key] = unquote(value)
	}
	return info
}

// unquote takes the quotes off a value. What is in them is written as it is, or with
// backslashes, according to the version.
func unquote(value string) string {
	if len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
		return value
	}
	if inner, err := strconv.Unquote(value); err == nil {
		return inner
	}
	return value[1 : len(value)-1]
}

// UUID is the machine's.
func (i Info) UUID() string { return i["UUID"] }

// On reports whether the machine is on, or about to go on or off.
func (i Info) On() bool {
	return slices.Contains([]string{"running", "stopping", "paused"}, i["VMState"])
}

// State is what the machine does, such as poweroff.
func (i Info) State() string { return i["VMState"] }

// Changed is when the state became what it is; zero: that is not said.
func (i Info) Changed() time.Time {
	at, err := time.Parse("2006-01-02T15:04:05.999999999", strings.TrimSuffix(i["VMStateChangeTime"], "Z"))
	if err != nil {
		return time.Time{}
	}
	return at
}

// Controllers are the names of the storage controllers of a type, such as I82078.
func (i Info) Controllers(chip string) (names []string) {
	for n := 0; ; n++ {
		kind, ok := i[fmt.Sprintf("storagecontrollertype%d", n)]
		if !ok {
			return names
		}
		if kind == chip {
			names = append(names, i[fmt.Sprintf("storagecontrollername%d", n)])
		}
	}
}

// Running reports whether a machine is on. One that nothing can be learned of is off.
func (p *Program) Running(ctx context.Context, machine string) (bool, error) {
	info, err := p.Info(ctx, machine)
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	return err == nil && info.On(), nil
}

// ErrNoAdditions is that VirtualBox names no ISO of its guest additions.
var ErrNoAdditions = errors.New(`Cannot find "Default Guest Additions ISO" in vboxmanage output (or it is empty)`)

// Additions is the path of the ISO of the guest additions on this machine.
func (p *Program) Additions(ctx context.Context) (string, error) {
	path, err := p.property(ctx, "Default Guest Additions ISO")
	if err == nil && path == "" {
		err = ErrNoAdditions
	}
	return path, err
}

// MachineFolder is the folder below which new machines get theirs; "": it is not said.
func (p *Program) MachineFolder(ctx context.Context) (string, error) {
	return p.property(ctx, "Default machine folder")
}

// property is one of the properties of the system.
func (p *Program) property(ctx context.Context, key string) (string, error) {
	out, err := p.Run(ctx, "list", "systemproperties")
	if err != nil {
		return "", err
	}
	return parseProperty(out, key), nil
}

func parseProperty(out, key string) string {
	for line := range strings.Lines(out) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
