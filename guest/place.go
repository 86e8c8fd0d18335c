package guest

import (
	"fmt"
	"io/fs"
	"strings"

	"kiln"
)

// Placing writes scripts for a POSIX shell, each a command line, that bring what is sent
// to a machine to its name there. Whatever is cut off on the way leaves nothing at that
// name: what arrives is kept under a name that nobody can guess, readable by nobody else,
// until it is whole.
//
// A file that exists keeps its mode and stays the file that it was, with all its names;
// a folder that exists takes in what comes. Two that come to one name at the same time
// both succeed, the later one wins.
type Placing struct {
	Destination string // its leading ~ and the like are the shell's to expand
	Literal     bool   // but not where this says so
	Owner       string // UID:GID of what is placed; "": whoever runs the script
	part        string
}

// NewPlacing is for one file or tree.
func NewPlacing(destination string) *Placing {
	return &Placing{Destination: destination, part: ".kiln-part-" + kiln.RandomName(16)}
}

// Part is the name, in a folder of the script's choice, of what is not whole yet.
func (p *Placing) Part() string { return p.part }

// File is the script that takes one file, of so many bytes, by the command receive, which
// writes to "$f". New files get the mode.
func (p *Placing) File(receive string, size int64, mode fs.FileMode) string {
	var b strings.Builder
	b.WriteString(p.target())
	fmt.Fprintf(&b, `if [ -e "$d" ] && [ ! -f "$d" ]; then f=$d; %s; exit; fi
if [ -e "$d" ] && [ ! -w "$d" ]; then echo "$d: Permission denied" >&2; exit 1; fi
umask 077
f=${d%%/*}/%[2]s
if [ ! -d "${d%%/*}/" ]; then echo "folder ${d%%/*}: not found on the machine" >&2; exit 1; fi
if ! why=$( (set -C; : >"$f") 2>&1 ); then
	if [ ! -e "$d" ]; then echo "$d: ${why##*: }" >&2; exit 1; fi
	f=${TMPDIR:-/tmp}/%[2]s
	(set -C; : >"$f") || exit 1
fi
trap 'rm -f "$f"' EXIT
trap 'exit 1' HUP INT PIPE TERM
%[1]s || exit
n=$(($(wc -c <"$f")))
if [ "$n" -ne %[3]d ]; then echo "only $n of %[3]d bytes arrived" >&2; exit 1; fi
`, receive, p.part, size)
	return Sh(b.String() + p.fileHere(mode))
}

// FileHere is the script that brings a file to its name which is on the machine already:
// in the same folder, under the name that Part gives.
func (p *Placing) FileHere(mode fs.FileMode) string {
	return Sh(p.target() + fmt.Sprintf("f=${d%%/*}/%s\ntrap 'rm -f \"$f\"' EXIT\n", p.part) + p.fileHere(mode))
}

func (p *Placing) target() string {
	word := Quote(p.Destination)
	if !p.Literal {
		word = QuotePath(p.Destination)
	}
	return "d=" + word + "\n" + `case $d in
'~'*/*) echo "${d%%/*}: there is no such user on the machine" >&2; exit 1 ;;
/*) ;;
*) d=./$d ;;
esac
if [ -d "$d" ]; then
	echo "$d: Is a directory: write it with a trailing slash to put the file into it" >&2; exit 1
fi
`
}

// over is a shell function that writes a file's content into one that exists. Where two
// do that at once, the one waits for the other, as far as the machine knows how.
const over = `over() {
	{
		flock -w 30 9 2>/dev/null
		cat "$1" >"$2"%s
	} 9>>"$2"
}
`

func (p *Placing) over() string { return fmt.Sprintf(over, p.own(`"$2"`)) }

// own gives a file to its owner.
func (p *Placing) own(word string) string {
	if p.Owner == "" {
		return ""
	}
	return " && chown " + p.Owner + " " + word
}

// fileHere brings "$f" to "$d". From here on no signal may leave half of the work.
func (p *Placing) fileHere(mode fs.FileMode) string {
	return "trap '' HUP INT PIPE TERM\n" + p.over() + fmt.Sprintf(`if [ -e "$d" ]; then over "$f" "$d"
elif [ -L "$d" ]; then over "$f" "$d" && chmod %04[1]o "$d"
else chmod %04[1]o "$f"%[2]s && mv -f "$f" "$d"
fi
`, mode.Perm(), p.own(`"$f"`))
}

// Tree is the script that takes a tree by the command receive, which unpacks it into the
// folder "$t". Where the destination exists, the tree goes under its own name into it;
// an empty name means that it goes there itself. A new folder gets the mode, if it is
// not 0.
func (p *Placing) Tree(receive, name string, mode fs.FileMode) string {
	return Sh(p.folder(name) + fmt.Sprintf(`s=$p/%s
mkdir -m 700 "$s" || exit 1
%s
t=$s/${d##*/}
[ "$p" != "$d" ] || t=$s/t
mkdir "$t" || exit 1
%s || exit
`, p.part, tidy, receive) + p.treeHere(mode))
}

// tidy takes away the folder of parts in the end. What came may forbid even that. A
// complaint that nobody hears any more (PIPE) must not keep it from that.
const tidy = `trap 'rm -rf "$s" 2>/dev/null || { chmod -R u+rwx "$s"; rm -rf "$s"; }' EXIT
trap 'exit 1' HUP INT PIPE TERM`

// TreeHere is the script that brings a tree to its name which is on the machine already:
// in the folder t of folder, which goes.
func (p *Placing) TreeHere(folder, name string) string {
	return Sh(p.folder(name) + "s=" + Quote(folder) + "\nt=$s/t\n" + tidy + "\n" + p.treeHere(0))
}

// folder finds the destination, and the folder that the parts are in: the destination
// where it exists, or the one that will hold it.
func (p *Placing) folder(name string) string {
	word := Quote(strings.TrimRight(p.Destination, "/") + "/")
	if !p.Literal {
		word = QuotePath(strings.TrimRight(p.Destination, "/") + "/")
	}
	into := ""
	if name != "" {
		into = fmt.Sprintf("if [ -d \"$d/\" ]; then d=$d/%s; fi\n", Quote(name))
	}
	return "d=" + word + "\nd=${d%/}\n" + `case $d in
'~'*) echo "${d%%/*}: there is no such user on the machine" >&2; exit 1 ;;
'' | /*) ;;
*) d=./$d ;;
esac
` + into + `p=$d
if [ ! -d "$d/" ]; then
	if [ -e "$d" ]; then echo "$d is a file, not a folder" >&2; exit 1; fi
	p=${d%/*}
	mkdir -p "$p/" || exit 1
fi
`
}

// treeHere moves what is in "$t" to "$d": as a whole where there is nothing yet, else
// entry by entry. A folder that may not be written to cannot be moved but by root.
func (p *Placing) treeHere(mode fs.FileMode) string {
	chmod := ":"
	if mode != 0 {
		chmod = fmt.Sprintf(`chmod %04o "$d"`, mode.Perm())
	}
	return "trap '' HUP INT PIPE TERM\n" + p.over() + `move() {
	mv -f "$@" "$to/" 2>/dev/null && return
	for e; do
		[ -e "$e" ] || [ -L "$e" ] || continue
		mv -f "$e" "$to/" 2>/dev/null || cp -RPp "$e" "$to/" || return
	done
}
place() (
	from=$1 to=$2
	shift 2
	for e in "$from"/* "$from"/.[!.]* "$from"/..?*; do
		[ -e "$e" ] || [ -L "$e" ] || continue
		there=$to/${e##*/}
		if [ ! -L "$e" ] && [ -d "$e" ] && [ -d "$there" ]; then
			place "$e" "$there" || exit
		elif [ ! -L "$e" ] && [ -f "$e" ] && [ -f "$there" ]; then
			over "$e" "$there" || exit
		else
			set -- "$@" "$e"
			[ $# -lt 100 ] || { move "$@" && set --; } || exit
		fi
	done
	[ $# -eq 0 ] || move "$@"
)
if [ "$p" != "$d" ] && [ "${t##*/}" = "${d##*/}" ] && mv -f "$t" "$p/" 2>/dev/null; then
	` + chmod + `
elif [ -d "$d/" ]; then place "$t" "$d"
else mv -f "$t" "$d" && ` + chmod + `
fi
`
}
