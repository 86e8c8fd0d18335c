package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kiln/internal/home"
	"kiln/internal/journal"
	"kiln/internal/plugin"
	"kiln/internal/template"
	"kiln/internal/template/load"
	"kiln/schema/docs"
)

// completeWord is the word by which a shell asks for completions. It is no command of
// people's, and in no list.
const completeWord = "__complete"

// completeTime bounds the search: somebody waits with a finger on the key.
const completeTime = 3 * time.Second

// candidate is one way to complete a word.
type candidate struct{ word, about string }

// completion is one question of a shell.
type completion struct {
	ctx    context.Context
	p      *program
	before []string // words behind the program's name and in front of the one to complete
	after  []string // words behind it
	cur    string
	files  bool // names of files are what is wanted
	found  []candidate
}

// complete answers a shell: on the first line "files" where the shell is to complete names
// of files, else "words"; then a candidate a line, behind a tab what it is. Line is what is
// typed up to the cursor, rest what is behind it. Breaks are the characters at which
// the shell itself divides words, so that it wants only what is behind them.
func (p *program) complete(ctx context.Context, line, rest, breaks string) {
	ctx, cancel := context.WithTimeout(ctx, completeTime)
	defer cancel()
	words := shellWords(line)
	c := &completion{ctx: ctx, p: p, after: shellWords(rest), cur: words[len(words)-1]}
	c.before = words[min(1, len(words)-1) : len(words)-1]
	if len(c.before) > 0 && c.before[0] == "-machine-readable" {
		c.before = c.before[1:]
	}
	if len(words) > 1 {
		c.command()
	}
	kind := "words"
	if c.files {
		kind = "files"
	}
	p.say("%s", kind)
	skip := 0
	if breaks != "" {
		skip = strings.LastIndexAny(c.cur, breaks) + 1
	}
	for _, found := range c.found {
		if strings.HasPrefix(found.word, c.cur) {
			about, _, _ := strings.Cut(found.about, "\n")
			p.say("%s\t%s", found.word[skip:], about)
		}
	}
}

// shellWords divides a line as a shell does; the last word is that at its end, and may be
// empty.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	quote, inside, escaped := rune(0), false, false
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inside = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, inside = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			if inside {
				words = append(words, word.String())
				word.Reset()
			}
			inside = false
		default:
			word.WriteRune(r)
			inside = true
		}
	}
	return append(words, word.String())
}

func (c *completion) add(about string, words ...string) {
	for _, w := range words {
		c.found = append(c.found, candidate{w, about})
	}
}

// command completes a command, or what stands behind one.
func (c *completion) command() {
	if len(c.before) == 0 {
		for _, cmd := range commands {
			c.add(cmd.synopsis, cmd.name)
		}
		return
	}
	cmd := findCommand(c.before[0])
	if cmd == nil {
		return
	}
	flags := flag.NewFlagSet(cmd.name, flag.ContinueOnError)
	if define := flagDefinitions[cmd.name]; define != nil {
		define(flags)
	}
	args, waiting := positional(flags, c.before[1:])
	name, value, given := strings.Cut(strings.TrimLeft(c.cur, "-"), "=")
	switch {
	case waiting != nil:
		c.value(waiting, c.cur, "")
	case strings.HasPrefix(c.cur, "-") && given:
		if f := flags.Lookup(name); f != nil {
			c.value(f, value, c.cur[:len(c.cur)-len(value)])
		}
	case strings.HasPrefix(c.cur, "-"):
		c.flags(flags)
	default:
		c.argument(cmd.name, args)
	}
}

// positional are the words that are no flags and no flag's value; waiting is the flag
// whose value is still to come.
func positional(flags *flag.FlagSet, words []string) (args []string, waiting *flag.Flag) {
	for i := 0; i < len(words); i++ {
		name := strings.TrimLeft(words[i], "-")
		if name == words[i] || name == "" {
			args = append(args, words[i])
			continue
		}
		f := flags.Lookup(name)
		if f == nil || isBool(f) {
			continue
		}
		if i++; i == len(words) {
			return args, f
		}
	}
	return args, nil
}

func isBool(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// flags completes the name of a flag. One that wants a value is followed by it.
func (c *completion) flags(flags *flag.FlagSet) {
	dash := "-"
	if strings.HasPrefix(c.cur, "--") {
		dash = "--"
	}
	flags.VisitAll(func(f *flag.Flag) {
		_, about := flag.UnquoteUsage(f)
		if isBool(f) {
			c.add(about, dash+f.Name)
		} else {
			c.add(about, dash+f.Name+"=")
		}
	})
}

// fileFlags are the flags whose value is the path of a file.
var fileFlags = []string{"var-file", "junit", "properties", "out", "output-file", "path", "template", "script", "ssh-private-key-file",
	"efi-firmware-code", "efi-firmware-vars", "qemu-binary"}

// value completes a flag's value, behind what is typed in front of it.
func (c *completion) value(f *flag.Flag, value, prefix string) {
	switch v := f.Value.(type) {
	case *choice:
		for _, word := range v.allowed {
			c.add("", prefix+word)
		}
	case *optionalBool:
		c.add("", prefix+"true", prefix+"false")
	case *words:
		// A comma list: its last element is completed.
		prefix += value[:strings.LastIndex(value, ",")+1]
		for _, name := range c.buildNames() {
			c.add("", prefix+name)
		}
	case *pairs:
		for _, name := range c.variables() {
			c.add("", prefix+name+"=")
		}
	default:
		switch {
		case slices.Contains(fileFlags, f.Name):
			c.files = true
		case f.Name == "build":
			for _, name := range c.runBuilds() {
				c.add("", prefix+name)
			}
		}
	}
}

// argument completes what is no flag.
func (c *completion) argument(command string, args []string) {
	switch command {
	case "logs", "trace", "diff":
		c.runs()
	case "cleanup":
		c.deadRuns()
	case "explain":
		c.explained()
	case "completion":
		c.add("", "bash", "zsh", "fish")
	case "help":
		for _, cmd := range commands {
			c.add(cmd.synopsis, cmd.name)
		}
	case "cache":
		c.add("list kept layers", "ls")
		c.add("remove kept layers", "prune")
	case "plugins":
		c.plugins(args)
	case "history", "schema", "version":
	default:
		c.files = true
	}
}

func (c *completion) plugins(args []string) {
	if len(args) == 0 {
		c.add("list what is installed", "installed")
		c.add("what a template asks for", "required")
		c.add("install a plugin", "install")
		c.add("remove a plugin", "remove")
		return
	}
	if args[0] != "remove" {
		c.files = true
		return
	}
	dir, err := plugin.Dir(os.Getenv)
	if err != nil {
		return
	}
	// Their folders are their sources; asking each what it is would take too long.
	found, _ := filepath.Glob(filepath.Join(dir, "*", "*", "*"))
	for _, path := range found {
		if source, err := filepath.Rel(dir, path); err == nil {
			c.add("", filepath.ToSlash(source))
		}
	}
}

// mostShown is how many runs are offered.
const mostShown = 30

func (c *completion) runs() {
	s, err := store()
	if err != nil {
		return
	}
	names, err := s.Runs()
	if err != nil {
		return
	}
	c.add("the newest run", "last")
	for _, name := range names[:min(len(names), mostShown)] {
		about := ""
		if r, err := s.Load(name); err == nil {
			about = r.Result + " " + r.Template
		}
		c.add(about, name)
	}
}

// runBuilds are the builds of the run that the line names, or of the newest.
func (c *completion) runBuilds() (names []string) {
	s, err := store()
	if err != nil {
		return nil
	}
	word := "last"
	for _, w := range slices.Concat(c.before[1:], c.after) {
		if !strings.HasPrefix(w, "-") && w != "" {
			word = w
		}
	}
	run, err := s.Find(word)
	if err != nil {
		return nil
	}
	r, err := s.Load(run)
	if err != nil {
		return nil
	}
	for _, b := range r.Builds {
		names = append(names, b.Name)
	}
	return names
}

func (c *completion) deadRuns() {
	dir, err := home.Open()
	if err != nil {
		return
	}
	// One that cannot be read is told of by cleanup itself.
	runs, _ := journal.Runs(filepath.Join(dir, "journal"))
	for _, run := range runs {
		if !run.Live {
			c.add(run.Template, run.ID)
		}
	}
	if len(c.found) > 0 {
		c.add("the newest run", "last")
	}
}

// explained are the words that explain knows; behind a component's name and a dot its
// options.
func (c *completion) explained() {
	for _, d := range described() {
		names := []string{d.Name, d.Kind + "." + d.Name}
		for _, name := range names {
			if !strings.HasPrefix(c.cur, name+".") {
				c.add(d.Kind, name)
				continue
			}
			for _, option := range slices.Concat(d.Block.Names(), d.AroundNames()) {
				c.add("", name+"."+option)
			}
		}
	}
	c.add("kind of component", docs.Kinds...)
	c.add("", language().Words()...)
}

// template loads the template that the line names, or the one of this folder; nil: there
// is none, or it cannot be read. Nothing is asked of anybody outside.
func (c *completion) template() *template.Template {
	path := c.templatePath()
	if path == "" {
		return nil
	}
	o := template.Options{Path: path, Environ: os.Environ(), Components: components(), PackerVersion: packerVersion,
		KilnVersion: kilnVersion, Start: c.p.start, Hide: c.p.redactor.Add, Secret: c.p.redactor.Holds}
	t, diags := load.Template(c.ctx, o)
	if diags.HasErrors() {
		return nil
	}
	return t
}

func (c *completion) templatePath() string {
	for _, word := range slices.Concat(c.before[1:], c.after) {
		if strings.HasPrefix(word, "-") || word == "" {
			continue
		}
		if info, err := os.Stat(word); err == nil && (info.Mode().IsRegular() || info.IsDir()) {
			return word
		}
	}
	for _, pattern := range []string{"*.pkr.hcl", "*.pkr.json"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return "."
		}
	}
	var templates []string
	found, _ := filepath.Glob("*.json")
	for _, path := range found {
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > 1<<20 {
			continue
		}
		if text, err := os.ReadFile(path); err == nil && bytes.Contains(text, []byte(`"builders"`)) {
			templates = append(templates, path)
		}
	}
	if len(templates) == 1 {
		return templates[0]
	}
	return ""
}

// buildNames are what -only and -except can name.
func (c *completion) buildNames() (names []string) {
	t := c.template()
	if t == nil {
		return nil
	}
	builds, _ := t.Builds(c.ctx) // those that can be told
	for _, b := range builds {
		if t.Format == template.JSON {
			names = append(names, b.Alias)
		} else {
			names = append(names, b.Name)
		}
	}
	return names
}

// variables are the names that -var can set.
func (c *completion) variables() (names []string) {
	t := c.template()
	if t == nil {
		return nil
	}
	_, _ = t.Builds(c.ctx) // gives them their values
	for _, word := range t.Words() {
		if name, ok := strings.CutPrefix(word, "var."); ok {
			names = append(names, name)
		} else if name, ok := strings.CutPrefix(word, "{{user `"); ok {
			names = append(names, strings.TrimSuffix(name, "`}}"))
		}
	}
	return names
}
