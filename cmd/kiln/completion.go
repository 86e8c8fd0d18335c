package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kiln"
)

var completionCommand = &command{
	name: "completion", usage: "bash|zsh|fish", synopsis: "print a shell's completion script",
	about: "Prints a script that teaches a shell commands, options and their values, components, the\n" +
		"builds and variables of the template, and runs:\n" +
		"  bash, zsh: source <(kiln completion bash), or zsh\n  fish:      kiln completion fish | source",
	run: func(_ context.Context, p *program, c *call) error {
		if err := c.parse(p, nil, 1, 1); err != nil {
			return err
		}
		switch c.args[0] {
		case "bash":
			fmt.Fprint(p.out, bashCompletion(p.name))
		case "zsh":
			fmt.Fprint(p.out, zshCompletion(p.name))
		case "fish":
			fmt.Fprint(p.out, fishCompletion(p.name))
		default:
			return fmt.Errorf("no completion for %q: it is made for bash, zsh and fish.", c.args[0])
		}
		return nil
	},
}

// bashCompletion asks the program itself, and hands what it gets to the shell. Bash divides
// words at more than blanks, so that it is told where.
func bashCompletion(name string) string {
	return strings.ReplaceAll(`_NAME() {
  local cur=${COMP_WORDS[COMP_CWORD]} found=() word
  while IFS= read -r word; do
    found+=("$word")
  done < <("${COMP_WORDS[0]}" __complete "${COMP_LINE:0:COMP_POINT}" "${COMP_LINE:COMP_POINT}" \
    "$COMP_WORDBREAKS" 2>/dev/null)
  COMPREPLY=()
  if [ "${found[0]}" = files ]; then
    case $cur in =|:) cur= ;; esac
    while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$cur")
    return
  fi
  compopt +o filenames 2>/dev/null
  for word in "${found[@]:1}"; do COMPREPLY+=("${word%%$'\t'*}"); done
  case ${COMPREPLY[0]} in *=) compopt -o nospace 2>/dev/null ;; esac
}
complete -o filenames -F _NAME NAME
`, "NAME", name)
}

func zshCompletion(name string) string {
	return strings.ReplaceAll(`#compdef NAME
_NAME() {
  local -a found plain open
  local word
  found=("${(@f)$("${words[1]}" __complete "$LBUFFER" "$RBUFFER" "" 2>/dev/null)}")
  if [[ $found[1] == files ]]; then
    compset -P '*='
    _files
    return
  fi
  for word in "${(@)found[2,-1]}"; do
    word=${word%%$'\t'*}
    if [[ $word == *= ]]; then open+=("$word"); else plain+=("$word"); fi
  done
  compadd -a plain
  compadd -S '' -a open
}
if (( ! $+functions[compdef] )); then autoload -Uz compinit && compinit; fi
compdef _NAME NAME
`, "NAME", name)
}

func fishCompletion(name string) string {
	return strings.ReplaceAll(`function __NAME_complete
  set -l found (NAME __complete (commandline -cp | string collect) "" "" 2>/dev/null)
  if test "$found[1]" = files
    __fish_complete_path (commandline -ct | string replace -r '^-[^=]*=' '')
    return
  end
  printf '%s\n' $found[2..-1]
end
complete -c NAME -f -a '(__NAME_complete)'
`, "NAME", name)
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
			err = p.replace(path, []byte(changed))
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

// replace writes a file of the user's whole or not at all.
func (p *program) replace(path string, text []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	j := p.owning("")
	defer j.close(p)
	return kiln.WriteOwned(j, path, text, info.Mode().Perm())
}
