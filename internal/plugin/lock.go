package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
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
	Source      string   `hcl:"source,label"`
	Version     string   `hcl:"version"`
	Constraints string   `hcl:"constraints,optional"` // those it was chosen by
	Hashes      []string `hcl:"hashes"`               // of archives: os_arch:sha256:hex
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

// Pin is what is locked for a source. It is for Remote.
func (l *Lock) Pin(source string) (version string, zips map[string]string) {
	for _, p := range l.Plugins {
		if p.Source != source {
			continue
		}
		zips = map[string]string{}
		for _, h := range p.Hashes {
			system, digest, ok := strings.Cut(h, ":sha256:")
			if ok {
				zips[system] = digest
			}
		}
		return p.Version, zips
	}
	return "", nil
}

// Set locks a plugin to what was fetched.
func (l *Lock) Set(r Requirement, got *Fetched) {
	p := Locked{Source: r.Source, Version: got.Version, Constraints: r.Constraint}
	for _, system := range slices.Sorted(maps.Keys(got.Sums)) {
		p.Hashes = append(p.Hashes, system+":sha256:"+got.Sums[system])
	}
	l.Plugins = slices.DeleteFunc(l.Plugins, func(old Locked) bool { return old.Source == r.Source })
	l.Plugins = append(l.Plugins, p)
	slices.SortFunc(l.Plugins, func(a, b Locked) int { return strings.Compare(a.Source, b.Source) })
}

// Write writes the lock file.
func (l *Lock) Write(path string) error {
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
	return kiln.WriteFile(path, hclwrite.Format(f.Bytes()), 0o644)
}
