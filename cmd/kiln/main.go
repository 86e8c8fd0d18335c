// Command kiln bakes machine images from templates that teams already have for
// Packer. Called by the name packer it behaves as that program does.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

// The versions: Kiln's own, and the version of Packer whose templates and command
// line it runs.
const (
	kilnVersion   = "0.1.0"
	packerVersion = "1.16.0"
)

func main() {
	os.Exit(run(os.Args))
}

// run is the whole program.
func run(args []string) int {
	// A reader that goes away (kiln build | head) must not kill a build: what it
	// made has to be cleaned up first.
	ignoreBrokenPipe()
	p := newProgram(os.Stdin, os.Stdout, os.Stderr)
	defer p.flush()
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

// env reads a setting: KILN_NAME wins over PACKER_NAME.
func env(name string) string {
	if v, ok := os.LookupEnv("KILN_" + name); ok {
		return v
	}
	return os.Getenv("PACKER_" + name)
}

// interruptible is a context that ends at the first signal that asks to end, for commands that have
// nothing to clean up.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, endSignals...)
}
