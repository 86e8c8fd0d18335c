// Command kiln bakes machine images from templates that teams already have for
// Packer. Called by the name packer it behaves as that program does.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"kiln"
)

// The versions: Kiln's own, and the version of Packer whose templates and command
// line it runs.
const (
	kilnVersion   = "0.1.0"
	packerVersion = "1.16.0"
)

// Exit codes, as Packer's.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUnformatted = 3   // fmt -check found a file to format
	exitNoSuch      = 127 // no command, or one that does not exist
)

func main() {
	os.Exit(run(os.Args))
}

// run is the whole program.
func run(args []string) int {
	// A reader that goes away (kiln build | head) must not kill a build: what it
	// made has to be cleaned up first.
	signal.Ignore(syscall.SIGPIPE)
	p := &program{in: os.Stdin, out: os.Stdout, errs: os.Stderr, start: time.Now(), name: "kiln"}
	if strings.HasPrefix(strings.TrimSuffix(filepath.Base(args[0]), ".exe"), "packer") {
		p.name = "packer"
	}
	if err := checkConfig(os.Getenv); err != nil {
		fmt.Fprintf(p.errs, "Error loading configuration:\n\n%v\n", err)
		return exitFailed
	}
	rest := args[1:]
	if i := slices.Index(rest, "-machine-readable"); i >= 0 {
		p.machine = true
		rest = slices.Delete(slices.Clone(rest), i, i+1)
	}
	return p.dispatch(context.Background(), rest)
}

// program is one call of kiln: its streams and what holds for every command.
type program struct {
	in       io.Reader
	out      io.Writer
	errs     io.Writer
	name     string // kiln or packer, as it was called
	start    time.Time
	machine  bool                              // -machine-readable
	onSignal atomic.Pointer[func(text string)] // shows a message beside a run; nil: no run yet
	redactor kiln.Redactor                     // the one that every sink is behind
}

// asPacker tells that the program stands in Packer's place.
func (p *program) asPacker() bool { return p.name == "packer" }

// say prints one message for people, or its machine-readable form.
func (p *program) say(format string, args ...any) { p.print("say", fmt.Sprintf(format, args...)) }

// fail prints an error. As with Packer, errors go to standard output.
func (p *program) fail(format string, args ...any) { p.print("error", fmt.Sprintf(format, args...)) }

func (p *program) print(kind, text string) {
	text = p.redactor.Mask(text)
	if !p.machine {
		fmt.Fprintln(p.out, text)
		return
	}
	p.record("", "ui", kind, text)
}

// warn tells on standard error of what does not make a command fail.
func (p *program) warn(err error) {
	fmt.Fprintf(p.errs, "Warning: %s\n", p.redactor.Mask(err.Error()))
}

// record prints a machine-readable line, see docs/compat/cli.md 3.
func (p *program) record(target, kind string, data ...string) {
	esc := strings.NewReplacer(",", "%!(PACKER_COMMA)", "\r", `\r`, "\n", `\n`)
	line := fmt.Sprintf("%d,%s,%s", time.Now().Unix(), esc.Replace(target), kind)
	for _, d := range data {
		line += "," + esc.Replace(p.redactor.Mask(d))
	}
	fmt.Fprintln(p.out, line)
}

// env reads a setting: KILN_NAME wins over PACKER_NAME.
func env(name string) string {
	if v, ok := os.LookupEnv("KILN_" + name); ok {
		return v
	}
	return os.Getenv("PACKER_" + name)
}

// home is the folder of all state that outlives a run.
func home() (string, error) {
	if dir := os.Getenv("KILN_HOME"); dir != "" {
		return filepath.Abs(dir)
	}
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "kiln"), nil
	}
	dir, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("no folder for Kiln's state: set KILN_HOME or HOME")
	}
	return filepath.Join(dir, ".local", "share", "kiln"), nil
}

// interruptible is a context that ends at the first SIGINT, SIGTERM or SIGHUP,
// for commands that have nothing to clean up.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
}
