//go:build !unix

package process

import (
	"fmt"
	"os/exec"
	"runtime"
)

// supported refuses: a child that outlives a crash could not be found again.
func supported() error {
	return fmt.Errorf(
		"this version runs no programs on %s, as it could not end them after a crash",
		runtime.GOOS,
	)
}

func prepare(*exec.Cmd, bool) {}

func running(int) bool { return false }

func terminate(int) {}

func find(string) ([]int, error) { return nil, supported() }

func kill(int) error { return supported() }
