package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsimple"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"kiln"
)

// LockName is the lock file's name; it is in the template's folder.
const LockName = "kiln.lock.hcl"

// Lock pins plugins to versions and digests, so that everybody who bakes from a
// template has the same ones.
type Lock struct {
	Plugins []Locked `hcl:"plugin,block"`
}

// Locked is one plugin in a lock file.
type Locked struct {
	Source      string `hcl:"source,label"`
	Version     string `hcl:"version"`
	Constraints string `hcl:"constraints,optional"` // those it was chosen by
	// Hashes are those of the archives of the release, "os_arch:sha256:HEX", and of the
	// binaries where it was installed, "os_arch:binary:sha256:HEX".
	Hashes []string `hcl:"hashes"`
}

// ReadLock reads a lock file; one that does not exist is empty.
func ReadLock(path string) (*Lock, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Lock{}, nil
	}
	if err != nil {
		return nil, err
	}
	var l Lock
	if err := hclsimple.Decode(path, text, nil, &l); err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	return &l, nil
}

// Pin is what a lock file says of a plugin.
type Pin struct {
	Version        string
	Zips, Binaries map[string]string // SHA-256 by os_arch, see [Locked]
}

// System is this machine's word in hashes.
const System = runtime.GOOS + "_" + runtime.GOARCH

// Check refuses a lock that would let this system take anything of that version.
func (p *Pin) Check(source string) error {
	if p == nil || p.Zips[System] != "" || p.Binaries[System] != "" {
		return nil
	}
	return fmt.Errorf("%s locks %s to %s and has no checksum of it for %s, so that what is fetched "+
		"cannot be checked: init -upgrade makes the lock anew", LockName, source, p.Version, System)
}

// Pin is what is locked for a source; nil: nothing. It is for Remote.
func (l *Lock) Pin(source string) *Pin {
	for _, p := range l.Plugins {
		if p.Source != source {
			continue
		}
		pin := &Pin{Version: p.Version, Zips: map[string]string{}, Binaries: map[string]string{}}
		for _, h := range p.Hashes {
			system, digest, ok := strings.Cut(h, ":sha256:")
			if of, binary := strings.CutSuffix(system, ":binary"); ok && binary {
				pin.Binaries[of] = digest
			} else if ok {
				pin.Zips[system] = digest
			}
		}
		return pin
	}
	return nil
}

// Set locks a plugin.
func (l *Lock) Set(r Requirement, pin *Pin) {
	p := Locked{Source: r.Source, Version: pin.Version, Constraints: r.Constraint}
	for system, sum := range pin.Zips {
		p.Hashes = append(p.Hashes, system+":sha256:"+sum)
	}
	for system, sum := range pin.Binaries {
		p.Hashes = append(p.Hashes, system+":binary:sha256:"+sum)
	}
	slices.Sort(p.Hashes)
	l.Plugins = slices.DeleteFunc(l.Plugins, func(old Locked) bool { return old.Source == r.Source })
	l.Plugins = append(l.Plugins, p)
	slices.SortFunc(l.Plugins, func(a, b Locked) int { return strings.Compare(a.Source, b.Source) })
}

// Write writes the lock file. What a kill leaves of it is owned in the journal.
func (l *Lock) Write(j kiln.Journal, path string) error {
	f := hclwrite.NewEmptyFile()
	head := "# Kept by `kiln init`; belongs under version control.\n"
	f.Body().AppendUnstructuredTokens(hclwrite.Tokens{{Bytes: []byte(head)}})
	for _, p := range l.Plugins {
		f.Body().AppendNewline()
		b := f.Body().AppendNewBlock("plugin", []string{p.Source}).Body()
		b.SetAttributeValue("version", cty.StringVal(p.Version))
		if p.Constraints != "" {
			b.SetAttributeValue("constraints", cty.StringVal(p.Constraints))
		}
		lines := "[\n"
		for _, h := range p.Hashes {
			lines += fmt.Sprintf("%q,\n", h)
		}
		b.SetAttributeRaw("hashes", hclwrite.Tokens{{Bytes: []byte(lines + "]")}})
	}
	return kiln.WriteOwned(j, path, hclwrite.Format(f.Bytes()), 0o644)
}
