package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"kiln"
	"kiln/schema"
)

// command is one word of the command line.
type command struct {
	name     string
	synopsis string
	usage    string // arguments, as in "[options] TEMPLATE"
	about    string // a paragraph under the usage line
	run      func(ctx context.Context, p *program, c *call) error
}

// commands is the one list of what kiln can do. It is filled in by init,
// because help and completion, which are in it, look at it too.
var commands []*command

func init() {
	commands = []*command{
		buildCommand, bootCommand, validateCommand, planCommand, inspectCommand,
		fmtCommand, fixCommand, upgradeCommand, consoleCommand,
		initCommand, pluginsCommand, schemaCommand, explainCommand, cleanupCommand, cacheCommand,
		historyCommand, logsCommand, traceCommand, diffCommand,
		versionCommand, completionCommand, helpCommand,
	}
}

func findCommand(name string) *command {
	if name == "plugin" {
		name = "plugins"
	}
	for _, c := range commands {
		if c.name == name {
			return c
		}
	}
	return nil
}

// later are Packer's commands that this version does not have, each with what to
// do instead.
var later = map[string]string{
	"verify-attestation": "attestations are not in this version",
	"execute":            "components are part of the program and no processes of their own",
	"sbom-generate":      "bills of materials are not in this version",
}

// dispatch runs a command line, shows its error and returns the exit code.
func (p *program) dispatch(ctx context.Context, args []string) int {
	err := p.command(ctx, args)
	p.report(err)
	return exitCode(err)
}

func (p *program) command(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return &wordedError{[]message{said("%s", p.helpText())}, errNoCommand}
	}
	switch args[0] {
	case "-h", "-help", "--help":
		p.say("%s", p.helpText())
		return nil
	case "-v", "-version", "--version":
		return findCommand("version").run(ctx, p, &call{command: versionCommand})
	case "-autocomplete-install", "--autocomplete-install":
		return installCompletion(p, true)
	case "-autocomplete-uninstall", "--autocomplete-uninstall":
		return installCompletion(p, false)
	}
	if args[0] == completeWord {
		args = append(args, "", "", "")
		p.complete(ctx, args[1], args[2], args[3])
		return nil
	}
	c := findCommand(args[0])
	if c == nil {
		return p.unknownCommand(args[0], errNoCommand)
	}
	for _, a := range args[1:] {
		if a == "-h" || a == "-help" || a == "--help" {
			p.say("%s", c.help(p))
			return nil
		}
	}
	return c.run(ctx, p, &call{command: c, args: args[1:]})
}

// unknownCommand is the error of a name that no command has.
func (p *program) unknownCommand(name string, kind error) error {
	if why, ok := later[name]; ok {
		return &wordedError{[]message{failed("Error: %s %s: %s.", p.name, name, why)}, kind}
	}
	var names []string
	for _, c := range commands {
		names = append(names, c.name)
	}
	text := failed("Error: there is no command %q.\n", name)
	if near := schema.Suggest(name, names); near != "" {
		text = failed("Error: there is no command %q. Did you mean %q?\n", name, near)
	}
	return &wordedError{[]message{text, said("%s", p.helpText())}, kind}
}

// call is one use of a command: its arguments, and after parse its flags.
type call struct {
	*command
	args []string // after parse: the positional ones
}

// parse reads flags, which come before the positional arguments, and checks the
// number of the latter.
func (c *call) parse(p *program, define func(*flag.FlagSet), low, high int) error {
	fs := c.flags(define)
	err := fs.Parse(c.args)
	both := false
	fs.Visit(func(f *flag.Flag) {
		if f.Name == "output" {
			both, p.aside = p.machine, f.Value.String() == "json"
		}
	})
	if err != nil {
		messages := []message{said("%s", c.help(p)), failed("%s", expected(fs, err))}
		if near := suggestFlag(fs, err); near != "" {
			messages = append(messages, failed("Did you mean -%s?", near))
		}
		return worded(messages...)
	}
	c.args = fs.Args()
	if both {
		return worded(said("%s", c.help(p)),
			failed("Error: -machine-readable and -output both say how to print: only one of them can be given."))
	}
	if len(c.args) < low {
		return worded(said("%s", c.help(p)), failed("Error: %s needs an argument: %s", c.name, strings.TrimPrefix(c.usage, "[options] ")))
	}
	if high < 0 || len(c.args) <= high {
		return nil
	}
	for _, a := range c.args {
		if strings.HasPrefix(a, "-") && a != "-" {
			return worded(said("%s", c.help(p)),
				failed("Error: options come before the arguments: put %q in front of %q.", a, c.args[0]))
		}
	}
	return worded(said("%s", c.help(p)), failed("Error: too many arguments: %s", strings.Join(c.args, " ")))
}

// optionsBehind lets options stand behind the first argument, too.
func (c *call) optionsBehind() {
	if len(c.args) > 1 && !strings.HasPrefix(c.args[0], "-") {
		c.args = append(c.args[1:len(c.args):len(c.args)], c.args[0])
	}
}

func (c *call) flags(define func(*flag.FlagSet)) *flag.FlagSet {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	if define != nil {
		define(fs)
	}
	return fs
}

// expected is what flag says of a wrong value, with what would be right where it only
// says "parse error".
func expected(fs *flag.FlagSet, err error) string {
	text, unclear := strings.CutSuffix(err.Error(), ": parse error")
	if !unclear {
		return err.Error()
	}
	name := text[strings.LastIndex(text, " -")+2:]
	f := fs.Lookup(name)
	if f == nil {
		return err.Error()
	}
	getter, ok := f.Value.(flag.Getter)
	if !ok {
		return err.Error()
	}
	switch getter.Get().(type) {
	case time.Duration:
		return text + ": write a number with a unit, such as 90m or 168h; there is none for days"
	case int:
		return text + ": it is a whole number"
	case bool:
		return text + ": it is true or false"
	}
	return err.Error()
}

// suggestFlag is the flag that was meant by one that is not defined.
func suggestFlag(fs *flag.FlagSet, err error) string {
	_, name, ok := strings.Cut(err.Error(), "flag provided but not defined: -")
	if !ok {
		return ""
	}
	var names []string
	fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return schema.Suggest(strings.TrimLeft(name, "-"), names)
}

// flagDefinitions are the flags of each command, for help and completion.
var flagDefinitions = map[string]func(*flag.FlagSet){
	"build":        func(fs *flag.FlagSet) { new(buildFlags).define(fs) },
	"boot":         func(fs *flag.FlagSet) { new(bootFlags).define(fs) },
	"validate":     func(fs *flag.FlagSet) { new(validateFlags).define(fs) },
	"inspect":      func(fs *flag.FlagSet) { new(inspectFlags).define(fs) },
	"fmt":          func(fs *flag.FlagSet) { new(fmtFlags).define(fs) },
	"fix":          func(fs *flag.FlagSet) { new(fixFlags).define(fs) },
	"hcl2_upgrade": func(fs *flag.FlagSet) { new(upgradeFlags).define(fs) },
	"plan":         func(fs *flag.FlagSet) { new(planFlags).define(fs) },
	"history":      func(fs *flag.FlagSet) { new(historyFlags).define(fs) },
	"logs":         func(fs *flag.FlagSet) { new(logsFlags).define(fs) },
	"trace":        func(fs *flag.FlagSet) { new(traceFlags).define(fs) },
	"diff":         func(fs *flag.FlagSet) { new(diffFlags).define(fs) },
	"version":      func(fs *flag.FlagSet) { new(versionFlags).define(fs) },
	"schema":       func(fs *flag.FlagSet) { new(schemaFlags).define(fs) },
	"init":         func(fs *flag.FlagSet) { new(initFlags).define(fs) },
	"plugins":      func(fs *flag.FlagSet) { new(pluginsFlags).define(fs) },
	"console":      func(fs *flag.FlagSet) { new(templateFlags).define(fs) },
	"cleanup":      func(fs *flag.FlagSet) { new(cleanupFlags).define(fs) },
	"cache":        func(fs *flag.FlagSet) { new(cacheFlags).define(fs) },
	"explain":      func(fs *flag.FlagSet) { new(explainFlags).define(fs) },
}

// help is the usage text of a command.
func (c *command) help(p *program) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s %s %s\n\n  %s\n", p.name, c.name, c.usage,
		strings.NewReplacer("\n", "\n  ", "kiln ", p.name+" ").Replace(c.about))
	define := flagDefinitions[c.name]
	if define == nil {
		return b.String()
	}
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	define(fs)
	b.WriteString("\nOptions:\n\n")
	fs.VisitAll(func(f *flag.Flag) {
		name := "-" + f.Name
		value, text := flag.UnquoteUsage(f)
		if value != "" {
			name += "=" + value
		}
		fmt.Fprintf(&b, "  %-34s %s\n", name, strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", 37)))
	})
	return b.String()
}

var helpCommand = &command{
	name: "help", usage: "[COMMAND]", synopsis: "show what a command does",
	about: "Shows all commands, or one with its options.", run: runHelp,
}

func runHelp(_ context.Context, p *program, c *call) error {
	if err := c.parse(p, nil, 0, 1); err != nil {
		return err
	}
	if len(c.args) == 0 {
		p.say("%s", p.helpText())
		return nil
	}
	about := findCommand(c.args[0])
	if about == nil {
		return p.unknownCommand(c.args[0], kiln.ErrNotFound)
	}
	p.say("%s", about.help(p))
	return nil
}

func (p *program) helpText() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n", p.name)
	for _, c := range commands {
		fmt.Fprintf(&b, "    %-12s %s\n", c.name, c.synopsis)
	}
	fmt.Fprintf(&b, "\n%s help COMMAND shows a command's options, %s explain NAME those of a component.",
		p.name, p.name)
	return b.String()
}

type versionFlags struct{ json bool }

func (f *versionFlags) define(fs *flag.FlagSet) {
	fs.BoolVar(&f.json, "json", false, "as a JSON object")
}

var versionCommand = &command{
	name: "version", usage: "[-json]", synopsis: "show the version",
	about: "Shows the version of the program, and that of the Packer whose templates it runs.",
	run: func(_ context.Context, p *program, c *call) error {
		var f versionFlags
		fs := c.flags(f.define)
		_ = fs.Parse(c.args) // as with Packer, what else is given does not matter
		switch {
		case f.json:
			return p.json(object{"kiln": kilnVersion, "packer": packerVersion, "go": runtime.Version(),
				"platform": runtime.GOOS + "_" + runtime.GOARCH})
		case p.machine:
			p.record("", "version", packerVersion)
			p.record("", "version-prelease", "")
			p.record("", "version-commit", "")
			p.record("", "ui", "say", "Packer v"+packerVersion)
		case p.asPacker():
			p.say("Packer v%s", packerVersion)
		default:
			p.say("Kiln v%s (runs templates and commands of Packer v%s)", kilnVersion, packerVersion)
		}
		return nil
	},
}
