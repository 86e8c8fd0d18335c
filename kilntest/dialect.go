package kilntest

import (
	"fmt"

	"kiln"
	"kiln/guest"
)

// dialect is how the suite of communicators asks a guest's shell for what it needs.
type dialect struct {
	empty func(dir string) string // makes dir, which then holds nothing
	echo  func(text string) string
	print func(path string) string       // prints a file
	mode  func(path string) string       // prints a file's permission bits, in octal
	make  func(path, mode string) string // makes a file with permission bits, in octal
	parts func(dir string) string        // lists all files below dir that are not whole yet: mode, blank, path
	same  func(a, b string) string       // succeeds where both names are one file
	link  func(path string) string       // prints what a symbolic link leads to; fails where it is none
	names func(dir string) string        // lists what is in dir, a line each
	logs  func(dir string) string        // makes a.log, "b c.log" and d.txt in dir, with 1, 2 and 3 and a newline

	codes   map[string]int // command lines and their exit codes
	nothing string         // does nothing and succeeds
	both    string         // prints "a  b c" and, as an error, "x", each with a newline; code 2
	much    string         // prints 4 MiB and, as an error, 1 MiB
	count   string         // prints how many bytes its input has
	ignore  string         // ends without reading its input
	sleep   string         // takes a minute

	program string // the text of a program that prints "ran" and a newline
}

// dialects are those of the shells that the suite speaks.
var dialects = map[kiln.Shell]dialect{
	kiln.ShellPOSIX: {
		empty: func(dir string) string { return fmt.Sprintf("rm -rf %[1]s && mkdir -p %[1]s", guest.Quote(dir)) },
		echo:  func(text string) string { return "echo " + guest.Quote(text) },
		print: func(path string) string { return "cat " + guest.Quote(path) },
		mode:  func(path string) string { return "stat -c %a " + guest.Quote(path) },
		make: func(path, mode string) string {
			return "echo old >" + guest.Quote(path) + " && chmod " + mode + " " + guest.Quote(path)
		},
		parts: func(dir string) string {
			return "find " + guest.Quote(dir) + ` -path '*.kiln-part-*' -exec stat -c '%a %n' {} \;`
		},
		same:  func(a, b string) string { return "[ " + guest.Quote(a) + " -ef " + guest.Quote(b) + " ]" },
		link:  func(path string) string { return "stat -c %N " + guest.Quote(path) + " | grep -- '->'" },
		names: func(dir string) string { return "ls -A " + guest.Quote(dir) },
		logs: func(dir string) string {
			return "cd " + guest.Quote(dir) + " && echo 1 >a.log && echo 2 >'b c.log' && echo 3 >d.txt"
		},

		codes:   map[string]int{"true": 0, "exit 3": 3, "false": 1, "no-such-program-at-all": 127, "exit 255": 255},
		nothing: "true",
		both:    `echo "a  b" 'c'; echo x >&2; exit 2`,
		much: "dd if=/dev/zero bs=1024 count=4096 2>/dev/null; " +
			"dd if=/dev/zero bs=1024 count=1024 >&2 2>/dev/null",
		count:  "wc -c",
		ignore: "exit 0",
		sleep:  "sleep 60",

		program: "#!/bin/sh\necho ran\n",
	},
}
