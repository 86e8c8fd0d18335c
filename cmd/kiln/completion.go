package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

var completionCommand = &command{
	name: "completion", usage: "bash|zsh|fish", synopsis: "print a shell's completion script",
	about: "Prints a script that teaches a shell the commands and options:\n" +
		"  bash: source <(kiln completion bash)\n  fish: kiln completion fish | source",
	run: func(_ context.Context, p *program, c *call) error {
		if err := c.parse(p, nil, 1, 1); err != nil {
			return err
		}
		switch c.args[0] {
		case "bash":
			fmt.Fprint(p.out, bashCompletion(p.name))
		case "zsh":
			fmt.Fprint(p.out, "autoload -U +X bashcompinit && bashcompinit\n"+bashCompletion(p.name))
		case "fish":
			fmt.Fprint(p.out, fishCompletion(p.name))
		default:
			return fmt.Errorf("no completion for %q: it is made for bash, zsh and fish.", c.args[0])
		}
		return nil
	},
}

func flagNames(command string) (names []string) {
	define := flagDefinitions[command]
	if define == nil {
		return nil
	}
	fs := flag.NewFlagSet(command, flag.ContinueOnError)
	define(fs)
	fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return names
}

func bashCompletion(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "_%s() {\n  local cur=${COMP_WORDS[COMP_CWORD]}\n", name)
	var names []string
	for _, c := range commands {
		names = append(names, c.name)
	}
	fmt.Fprintf(&b, "  if [ \"$COMP_CWORD\" -eq 1 ]; then "+
		"COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return; fi\n", strings.Join(names, " "))
	b.WriteString("  case \"${COMP_WORDS[1]} $cur\" in\n")
	for _, c := range names {
		if flags := flagNames(c); len(flags) > 0 {
			fmt.Fprintf(&b, "    %q*) COMPREPLY=($(compgen -W '-%s' -- \"$cur\")) ;;\n", c+" -",
				strings.Join(flags, " -"))
		}
	}
	fmt.Fprintf(&b, "    \"help \"*) COMPREPLY=($(compgen -W '%s' -- \"$cur\")) ;;\n", strings.Join(names, " "))
	fmt.Fprintf(&b, "    *) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n  esac\n}\n"+
		"complete -o filenames -F _%s %s\n", name, name)
	return b.String()
}

func fishCompletion(name string) string {
	var b strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&b, "complete -c %s -n __fish_use_subcommand -a %s -d %s\n", name, c.name,
			shellQuote(c.synopsis))
		for _, f := range flagNames(c.name) {
			fmt.Fprintf(&b, "complete -c %s -n '__fish_seen_subcommand_from %s' -o %s\n", name, c.name, f)
		}
	}
	return b.String()
}

// installCompletion adds the completion to the user's bash and zsh set-up, or
// takes it out again, as Packer's flag of the name does.
func installCompletion(p *program, install bool) error {
	dir, err := os.UserHomeDir()
	if err != nil {
		return err
	}
	found := false
	for file, shell := range map[string]string{".bashrc": "bash", ".zshrc": "zsh"} {
		path := filepath.Join(dir, file)
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		line := fmt.Sprintf("source <(%s completion %s)\n", p.name, shell)
		changed := strings.ReplaceAll(string(text), line, "")
		if install {
			if changed != "" && !strings.HasSuffix(changed, "\n") {
				changed += "\n"
			}
			changed += line
		}
		if err == nil && changed != string(text) {
			err = os.WriteFile(path, []byte(changed), 0o644)
		}
		if err != nil {
			return err
		}
		found = true
	}
	if !found {
		return fmt.Errorf("neither .bashrc nor .zshrc in %s", dir)
	}
	return nil
}
