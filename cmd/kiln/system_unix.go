//go:build !windows

package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// endSignals ask the program to end.
var endSignals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}

// ignoreBrokenPipe makes writing to a reader that went away an error of the write.
func ignoreBrokenPipe() { signal.Ignore(syscall.SIGPIPE) }

// openTerminal opens the controlling terminal.
func openTerminal() (*os.File, error) { return os.OpenFile("/dev/tty", os.O_RDWR, 0) }

// foreground reports whether this process may read from the terminal: one in the
// background would be stopped.
func foreground(tty *os.File) bool {
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
