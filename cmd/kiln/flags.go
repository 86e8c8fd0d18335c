package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"kiln"
	"kiln/internal/redact"
	"kiln/internal/secrets"
	"kiln/internal/template"
	"kiln/internal/template/load"
)

// words is a flag that may be given several times, each a comma list.
type words []string

func (w *words) String() string { return strings.Join(*w, ",") }
func (w *words) Set(s string) error {
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			*w = append(*w, part)
		}
	}
	return nil
}

// texts is a flag that may be given several times, each as it is.
type texts []string

func (t *texts) String() string     { return strings.Join(*t, " ") }
func (t *texts) Set(s string) error { *t = append(*t, s); return nil }

// pairs is -var: texts of the form name=value.
type pairs []string

func (v *pairs) String() string { return strings.Join(*v, " ") }
func (v *pairs) Set(s string) error {
	name, _, ok := strings.Cut(s, "=")
	if !ok {
		return fmt.Errorf("No '=' value in arg: %s", s)
	}
	if name == "" {
		return fmt.Errorf("no variable name before '=' in arg: %s", s)
	}
	*v = append(*v, s)
	return nil
}

// choice is a flag with a fixed set of values.
type choice struct {
	value   string
	allowed []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Set(s string) error {
	if !slices.Contains(c.allowed, s) {
		return fmt.Errorf("expected one of %q", c.allowed)
	}
	c.value = s
	return nil
}

// templateFlags are common to all commands that load a template.
type templateFlags struct {
	vars         pairs
	varFiles     texts
	only, except words
	config       choice
	sequential   bool
	ignoreDev    bool
}

func (f *templateFlags) define(fs *flag.FlagSet) {
	f.config = choice{"json", []string{"json", "hcl2"}}
	fs.Var(&f.vars, "var", "set a variable, `'name=value'`; may be repeated")
	fs.Var(&f.varFiles, "var-file", "read variables from `FILE` (JSON or HCL2); may be repeated")
	fs.Var(&f.only, "only", "build only these `names`, comma separated; globs for HCL2")
	fs.Var(&f.except, "except", "build all but these `names`; names of post-processors too")
	fs.Var(&f.config, "config-type", "the `LANGUAGE` where the path does not tell it: json or hcl2; default json")
	fs.BoolVar(&f.sequential, "use-sequential-evaluation", false,
		"evaluate data sources before locals, as Packer did before 1.12")
	fs.BoolVar(&f.ignoreDev, "ignore-prerelease-plugins", false,
		"do not count plugins of development versions as installed")
}

// options are what the flags ask of the loader.
func (f *templateFlags) options(ctx context.Context, p *program, path string) template.Options {
	return template.Options{
		Path: path, Stdin: p.in, ConfigType: f.config.value, Vars: f.vars, VarFiles: f.varFiles,
		Only: f.only, Except: f.except, Environ: os.Environ(), Sequential: f.sequential,
		Components: components(), PackerVersion: packerVersion, KilnVersion: kilnVersion, Start: p.start,
		Hide: p.redactor.Add, Secret: p.redactor.Holds,
		Secrets: &secrets.Services{Context: ctx, Hide: p.hideAsked},
	}
}

// hideAsked hides a secret of a service. One that cannot be hidden well is told.
func (p *program) hideAsked(secret string) {
	if redact.Given(secret, p.redactor.Add) {
		p.warn(errors.New("a secret of Vault or AWS has fewer than four characters: " +
			"it is only masked where it stands as a word of its own"))
	}
}

// load loads a template and shows what is wrong with it.
func (p *program) load(ctx context.Context, o template.Options) (*template.Template, error) {
	if err := notAPlan(o.Path); err != nil {
		return nil, err
	}
	t, diags := load.Template(ctx, o)
	return t, p.show(diags)
}

// show prints diagnostics, if there are any. Errors among them are errReported.
func (p *program) show(diags template.Diagnostics) error {
	if len(diags) == 0 {
		return nil
	}
	shown := true
	for i := range diags {
		one := diagnosed(diags[i : i+1])
		kind := kiln.EventError
		if diags[i].Severity == template.Warning {
			kind = kiln.EventWarn
		}
		shown = p.tell(kind, one.String()) && shown
	}
	if !shown {
		m := diagnosed(diags)
		p.write(m.kind, m.text)
	}
	if diags.HasErrors() {
		return errReported
	}
	return nil
}

// diagnosed is the message of diagnostics.
func diagnosed(diags template.Diagnostics) message {
	var b strings.Builder
	diags.Write(&b, template.WriteOptions{})
	kind := "say"
	if diags.HasErrors() {
		kind = "error"
	}
	return message{kind, strings.TrimRight(interrupted(b.String()), "\n") + "\n"}
}
