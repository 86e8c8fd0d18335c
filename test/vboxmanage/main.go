//go:build unix

// Vboxmanage stands in for VirtualBox's VBoxManage where that cannot be installed. It
// keeps machines, controllers, media and snapshots in a folder as the real program keeps
// them in its registry, refuses what that refuses as far as docs/compat/builders-local.md
// tells, and starts a machine's disks in QEMU. Tests build it and put it on the path.
//
// The folder is VBOX_USER_HOME. These variables are its own:
//
//	STANDIN_LOG      file to which each call adds a line
//	STANDIN_VERSION  version to be, 7.0.14r161095 by default
//	STANDIN_GUEST    "none": a process without a system takes QEMU's place; an address
//	                 such as 127.0.0.1:22: so, and forwarded ports lead there
//	STANDIN_FAULTS   file with lines of TIMES, a pattern for the arguments and what is
//	                 said, separated by tabs: such calls fail
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// version is what the program says it is.
func version() string {
	if v := os.Getenv("STANDIN_VERSION"); v != "" {
		return v
	}
	return "7.0.14r161095"
}

// newer reports whether the version is that or later.
func newer(major, minor int) bool {
	parts := strings.SplitN(version(), ".", 3)
	if len(parts) < 2 {
		return true
	}
	a, _ := strconv.Atoi(parts[0])
	b, _ := strconv.Atoi(parts[1])
	return a > major || a == major && b >= minor
}

// A fault is what VirtualBox answers in place of doing something.
type fault struct {
	code, text string
}

func (f *fault) Error() string { return f.text }

// Codes of faults.
const (
	notFound    = "VBOX_E_OBJECT_NOT_FOUND (0x80bb0001)"
	wrongState  = "VBOX_E_INVALID_VM_STATE (0x80bb0002)"
	fileError   = "VBOX_E_FILE_ERROR (0x80bb0004)"
	locked      = "VBOX_E_INVALID_OBJECT_STATE (0x80bb0007)"
	inUse       = "VBOX_E_OBJECT_IN_USE (0x80bb000c)"
	invalidArg  = "E_INVALIDARG (0x80070057)"
	failed      = "E_FAIL (0x80004005)"
	notPossible = "VBOX_E_NOT_SUPPORTED (0x80bb0009)"
)

func refuse(code, format string, args ...any) error {
	return &fault{code, fmt.Sprintf(format, args...)}
}

// A usageError is a command line that the program does not take.
type usageError string

func (u usageError) Error() string { return string(u) }

func usage(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

// commands are what the program can do.
var commands = map[string]func(*registry, []string) error{
	"createvm": createVM, "modifyvm": modifyVM, "unregistervm": unregisterVM, "showvminfo": showVM,
	"list": list, "storagectl": storageCtl, "storageattach": storageAttach,
	"createmedium": createMedium, "createhd": createHD, "closemedium": closeMedium,
	"showmediuminfo": showMedium, "modifymedium": modifyMedium, "modifyhd": modifyMedium,
	"clonemedium": cloneMedium, "clonehd": cloneMedium,
	"startvm": startVM, "controlvm": controlVM, "snapshot": snapshotVM,
	"setextradata": setExtraData, "getextradata": getExtraData, "setproperty": setProperty,
	"guestproperty": guestProperty, "sharedfolder": sharedFolder,
	"export": exportVM, "import": importVM,
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == guestWord {
		os.Exit(guestMain(os.Args[2]))
	}
	os.Exit(run(os.Args[1:]))
}

// run is one call. Its result is the exit code.
func run(args []string) int {
	note(args)
	for len(args) > 0 && (args[0] == "-q" || args[0] == "--nologo") {
		args = args[1:]
	}
	err := injected(args)
	if err == nil {
		err = call(args)
	}
	var f *fault
	var u usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &u):
		fmt.Fprintf(os.Stderr, "VBoxManage: error: %s\n", u)
		return 2
	case errors.As(err, &f) && f.text == "": // what there was to say is said
		return 1
	case errors.As(err, &f):
		fmt.Fprintf(os.Stderr, "VBoxManage: error: %s\n", f.text)
		if f.code != "" {
			fmt.Fprintf(os.Stderr, "VBoxManage: error: Details: code %s, component MachineWrap, "+
				"interface IMachine, callee nsISupports\n", f.code)
		}
		return 1
	}
	fmt.Fprintf(os.Stderr, "VBoxManage: error: %s\n", err)
	return 1
}

func call(args []string) error {
	if len(args) == 0 {
		return usage("No command specified")
	}
	switch args[0] {
	case "-v", "-V", "--version", "version":
		fmt.Println(version())
		return nil
	}
	command := commands[args[0]]
	if command == nil {
		return usage("Invalid command '%s'", args[0])
	}
	r, err := open()
	if err != nil {
		return err
	}
	defer r.close()
	if err := command(r, args[1:]); err != nil {
		return err
	}
	return r.save()
}

// note adds the call to the log, each argument that is not plain in quotes.
func note(args []string) {
	path := os.Getenv("STANDIN_LOG")
	if path == "" {
		return
	}
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = a
		if a == "" || strings.ContainsAny(a, " \t\n\"'") {
			words[i] = strconv.Quote(a)
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer f.Close()
	_, _ = io.WriteString(f, strings.Join(words, " ")+"\n") // a log that is full fails no test
}
