package main

import (
	"os"
	"syscall"
)

// endSignals ask the program to end; closing the console window is a SIGTERM.
var endSignals = []os.Signal{os.Interrupt, syscall.SIGTERM}

// ignoreBrokenPipe has nothing to do: there is no signal for it.
func ignoreBrokenPipe() {}

// openTerminal opens the console.
func openTerminal() (*os.File, error) { return os.OpenFile("CONIN$", os.O_RDWR, 0) }

// foreground reports whether this process may read from the console: there is no
// background.
func foreground(*os.File) bool { return true }
