package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	goversion "github.com/hashicorp/go-version"

	"kiln/internal/plugin"
	"kiln/internal/template"
)

type pluginsFlags struct {
	force bool
	path  string
}

func (f *pluginsFlags) define(fs *flag.FlagSet) {
	fs.BoolVar(&f.force, "force", false, "install: install again what is installed")
	fs.StringVar(&f.path, "path", "", "install: take the binary `BIN` of this machine")
}

var pluginsCommand = &command{
	name: "plugins", usage: "installed | required TEMPLATE | install [options] SOURCE [CONSTRAINT] | " +
		"remove SOURCE [CONSTRAINT] | remove PATH",
	synopsis: "list, install and remove plugins",
	about: "installed   the path of every valid plugin of this machine\n" +
		"required    what a template asks for, and which installed plugins meet it\n" +
		"install     fetch the newest version that meets a constraint, or take a binary\n" +
		"remove      delete plugins that meet a constraint, or one by its path",
	run: runPlugins,
}

func runPlugins(ctx context.Context, p *program, c *call) error {
	if len(c.args) == 0 {
		return worded(said("%s", c.help(p)))
	}
	verbs := map[string]func(context.Context, *program, *call, string) error{
		"installed": pluginsInstalled, "required": pluginsRequired,
		"install": pluginsInstall, "remove": pluginsRemove,
	}
	verb := verbs[c.args[0]]
	if verb == nil {
		return wordedf("%s\nError: there is no subcommand %q.", c.help(p), c.args[0])
	}
	dir, err := plugin.Dir(os.Getenv)
	if err == nil {
		ctx, stop := interruptible(ctx)
		defer stop()
		c.args = c.args[1:]
		err = verb(ctx, p, c, dir)
	}
	return err
}

func pluginsInstalled(ctx context.Context, p *program, c *call, dir string) error {
	if err := c.parse(p, nil, 0, 0); err != nil {
		return err
	}
	all, err := plugin.Installed(ctx, dir, plugin.Options{AnyAPI: true})
	for _, i := range all {
		p.say("%s", i.Path)
	}
	return err
}

func pluginsRequired(ctx context.Context, p *program, c *call, dir string) error {
	var f templateFlags
	if err := c.parse(p, f.define, 1, 1); err != nil {
		return err
	}
	t, err := p.load(ctx, f.options(ctx, p, c.args[0]))
	if err != nil {
		return err
	}
	if t.Format == template.JSON {
		return errors.New("Packer plugins currently only works with HCL2 configuration templates")
	}
	if err := p.show(t.Doubled); err != nil {
		return err
	}
	all, err := plugin.Installed(ctx, dir, plugin.Options{})
	if err != nil {
		return err
	}
	if len(t.Plugins) == 0 {
		p.say("No plugins requirement found: the template has no required_plugins block, so it needs only what " +
			"is built in.")
	}
	for _, r := range requirements(t) {
		line := fmt.Sprintf("%s %s %q", r.Accessor, r.Source, r.Constraint)
		if ok, version := r.IsBuiltIn(); ok {
			line += " built in, as " + version
		}
		for _, have := range plugin.Matching(all, r) {
			line += " " + have.Path
		}
		p.say("%s", line)
	}
	return nil
}

// sourceArgs reads SOURCE [CONSTRAINT].
func sourceArgs(args []string) (plugin.Requirement, error) {
	r := plugin.Requirement{Source: args[0]}
	if len(args) > 1 {
		r.Constraint = args[1]
		if _, err := goversion.NewConstraint(r.Constraint); err != nil {
			return r, fmt.Errorf("Invalid version constraint %q: %w", r.Constraint, err)
		}
	}
	return r, plugin.ParseSource(r.Source)
}

func pluginsInstall(ctx context.Context, p *program, c *call, dir string) error {
	var f pluginsFlags
	if err := c.parse(p, f.define, 1, 2); err != nil {
		return err
	}
	r, err := sourceArgs(c.args)
	if err != nil {
		return err
	}
	if f.path != "" {
		j := p.owning("")
		defer j.close(p)
		path, err := plugin.InstallLocal(ctx, j, dir, r.Source, f.path)
		if err == nil {
			p.say("Successfully installed plugin %s from %s to %s", r.Source, f.path, path)
		}
		return err
	}
	all, err := plugin.Installed(ctx, dir, plugin.Options{Releases: true})
	if err != nil {
		return err
	}
	if have := plugin.Matching(all, r); len(have) > 0 && !f.force {
		return nil
	}
	j := p.owning("")
	defer j.close(p)
	got, err := remote(j, nil).Install(ctx, dir, r)
	if err != nil {
		return fmt.Errorf("Failed getting the %q plugin: %w", r.Source, err)
	}
	p.say("Installed plugin %s v%s in %q", r.Source, got.Version, got.Path)
	return nil
}

func pluginsRemove(ctx context.Context, p *program, c *call, dir string) error {
	if err := c.parse(p, nil, 1, 2); err != nil {
		return err
	}
	if filepath.IsAbs(c.args[0]) {
		path := filepath.Clean(c.args[0])
		if rel, err := filepath.Rel(dir, path); err != nil || strings.HasPrefix(rel, "..") ||
			!strings.HasPrefix(filepath.Base(path), "packer-plugin-") {
			return fmt.Errorf("%s is no plugin in the plugin folder %s", path, dir)
		}
		if err := plugin.Remove(path); err != nil {
			return err
		}
		p.say("%s", path)
		return nil
	}
	r, err := sourceArgs(c.args)
	if err != nil {
		return err
	}
	all, err := plugin.Installed(ctx, dir, plugin.Options{AnyAPI: true})
	if err != nil {
		return err
	}
	found := plugin.Matching(all, r)
	if len(found) == 0 {
		return fmt.Errorf("No installed plugin found matching the plugin constraints %s", strings.Join(c.args, " "))
	}
	for _, i := range found {
		if err := plugin.Remove(i.Path); err != nil {
			return err
		}
		p.say("%s", i.Path)
	}
	return nil
}
