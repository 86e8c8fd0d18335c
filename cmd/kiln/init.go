package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kiln"
	"kiln/internal/plugin"
	"kiln/internal/template"
)

type initFlags struct {
	templateFlags
	upgrade, force bool
}

func (f *initFlags) define(fs *flag.FlagSet) {
	f.templateFlags.define(fs)
	fs.BoolVar(&f.upgrade, "upgrade", false,
		"take the newest version that is allowed, whatever is installed or locked")
	fs.BoolVar(&f.force, "force", false, "install again what is installed")
}

var initCommand = &command{
	name: "init", usage: "[options] TEMPLATE", synopsis: "install the plugins a template asks for",
	about: "Installs the plugins that the required_plugins blocks of an HCL2 template name and\n" +
		"that are not built in, and keeps their versions and digests in " + plugin.LockName +
		" beside the\n" +
		"template. KILN_PLUGIN_MIRROR names a folder or server to take them from.",
	run: runInit,
}

func runInit(ctx context.Context, p *program, c *call) error {
	var f initFlags
	if err := c.parse(p, f.define, 1, 1); err != nil {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	t, err := p.load(ctx, f.options(ctx, p, c.args[0]))
	if err != nil {
		return err
	}
	if t.Format == template.JSON {
		return fmt.Errorf("Packer plugins currently only works with HCL2 configuration templates. A JSON "+
			"template uses every plugin that is installed: see `%s help plugins`.", p.name)
	}
	if err := p.show(t.Doubled); err != nil {
		return err
	}
	if len(t.Plugins) == 0 {
		p.say("No plugins requirement found: the template has no required_plugins block, so it needs only what " +
			"is built in.")
		return nil
	}
	dir, err := plugin.Dir(os.Getenv)
	if err != nil {
		return err
	}
	lockPath := filepath.Join(t.Dir, plugin.LockName)
	lock, err := plugin.ReadLock(lockPath)
	if err != nil {
		return err
	}
	j := p.owning(t.Path)
	defer j.close(p)
	s := &installer{p: p, f: &f, dir: dir, lock: lock, journal: j}
	if s.installed, err = plugin.Installed(ctx, dir, plugin.Options{Releases: true}); err != nil {
		return err
	}
	var failure error
	for _, r := range requirements(t) {
		if err := s.install(ctx, r); err != nil {
			p.report(wordedf("Failed getting the %q plugin:\n%v", r.Source, err))
			failure = errReported
		}
	}
	if !s.changed {
		return failure
	}
	err = lock.Write(j, lockPath)
	if err != nil && !s.fetched {
		// All that is needed was there before: a template that cannot be written to is fine.
		p.warn(fmt.Errorf("the lock file is not written: %w", err))
		return failure
	}
	if err != nil {
		return err
	}
	return failure
}

// requirements are what a template asks for, by accessor.
func requirements(t *template.Template) []plugin.Requirement {
	var all []plugin.Requirement
	for _, r := range t.Plugins {
		all = append(all, plugin.Requirement{Accessor: r.Accessor, Source: r.Source, Constraint: r.Version})
	}
	slices.SortFunc(all, func(a, b plugin.Requirement) int { return cmp.Compare(a.Accessor, b.Accessor) })
	return all
}

// installer installs the plugins of one template.
type installer struct {
	p         *program
	f         *initFlags
	dir       string
	installed []plugin.Plugin
	lock      *plugin.Lock
	journal   *partJournal
	changed   bool // the lock
	fetched   bool
}

func (s *installer) install(ctx context.Context, r plugin.Requirement) error {
	if ok, _ := r.IsBuiltIn(); ok {
		return nil
	}
	var pin *plugin.Pin
	if !s.f.upgrade {
		pin = s.lock.Pin(r.Source)
	}
	if err := pin.Check(r.Source); err != nil {
		return err
	}
	have := plugin.Matching(s.installed, r)
	if pin != nil {
		have = slices.DeleteFunc(have, func(p plugin.Plugin) bool { return p.Version.String() != pin.Version })
	}
	if len(have) > 0 && !s.f.upgrade && !s.f.force {
		if pin == nil {
			s.lockInstalled(ctx, r, have[0])
			return nil
		}
		locked := pin.Binaries[plugin.System]
		if locked == "" {
			pin.Binaries[plugin.System] = have[0].Sum
			s.set(r, pin)
		}
		if locked == "" || locked == have[0].Sum {
			return nil
		}
		s.p.say("%s is not what the lock file holds, and is installed again.", have[0].Path)
	}
	wanted := func(string) *plugin.Pin { return pin }
	want := r
	if len(have) > 0 && s.f.force && !s.f.upgrade && pin == nil {
		want.Constraint = "= " + have[0].Version.String()
	}
	got, err := remote(s.journal, wanted).Install(ctx, s.dir, want)
	if err != nil {
		return err
	}
	if len(have) == 0 || have[0].Path != got.Path || s.f.force {
		s.p.say("Installed plugin %s v%s in %q", r.Source, got.Version, got.Path)
	}
	s.fetched = true
	s.set(r, &got.Pin)
	return nil
}

// lockInstalled locks what is installed already.
func (s *installer) lockInstalled(ctx context.Context, r plugin.Requirement, have plugin.Plugin) {
	pin := &plugin.Pin{Version: have.Version.String(), Binaries: map[string]string{plugin.System: have.Sum}}
	var err error
	if pin.Zips, err = remote(nil, nil).Zips(ctx, r, pin.Version); err != nil {
		s.p.warn(fmt.Errorf("the lock file holds what is installed of %s, and no checksums for other systems: %w",
			r.Source, err))
	}
	s.set(r, pin)
}

// set locks a plugin.
func (s *installer) set(r plugin.Requirement, pin *plugin.Pin) {
	s.lock.Set(r, pin)
	s.changed = true
}

// remote is where plugins come from, by the environment.
func remote(j kiln.Journal, pin func(string) *plugin.Pin) plugin.Remote {
	return plugin.Remote{
		Mirror: os.Getenv("KILN_PLUGIN_MIRROR"), Releases: os.Getenv("KILN_PLUGIN_RELEASES"),
		API:    os.Getenv("KILN_PLUGIN_GITHUB_API"),
		GitHub: os.Getenv("KILN_PLUGIN_GITHUB"), Token: os.Getenv("PACKER_GITHUB_API_TOKEN"), Pin: pin,
		Journal: j,
	}
}

// havePlugins checks that all that a template asks for is built in or installed.
func (p *program) havePlugins(ctx context.Context, t *template.Template, releases bool) error {
	var missing []string
	var all []plugin.Plugin
	dir, err := plugin.Dir(os.Getenv)
	read := err != nil // no folder: nothing is installed
	for _, r := range requirements(t) {
		ok, version := r.IsBuiltIn()
		if ok {
			continue
		}
		if !read {
			read = true
			if all, err = plugin.Installed(ctx, dir, plugin.Options{Releases: releases}); err != nil {
				return fmt.Errorf("plugins: %w", err)
			}
		}
		// Of a plugin that is built in no other version can be used: it would not run.
		if version == "" && len(plugin.Matching(all, r)) > 0 {
			continue
		}
		text := "* " + r.Source + " " + r.Constraint
		if version != "" {
			text += fmt.Sprintf(" (what is built in stands for %s, and other versions cannot be used)", version)
		}
		missing = append(missing, text)
	}
	if len(missing) == 0 {
		return nil
	}
	return p.show(template.Errorf("Missing plugins", fmt.Sprintf("The following plugins are required, "+
		"but not installed:\n\n%s\n\nDid you run %s init for this project?", strings.Join(missing, "\n"), p.name)))
}
