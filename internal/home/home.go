// Package home is the folder of all state that outlives a run: $KILN_HOME. Nothing in it
// is used where others may write it, as it says what is removed and what runs.
package home

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"kiln"
)

// Dir is where the home is, which may not exist yet.
func Dir() (string, error) {
	if dir := os.Getenv("KILN_HOME"); dir != "" {
		return filepath.Abs(dir)
	}
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "kiln"), nil
	}
	dir, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("no folder for the state of runs: set KILN_HOME or HOME")
	}
	return filepath.Join(dir, ".local", "share", "kiln"), nil
}

// Open is Dir, and refuses a home that belongs to another user or that others may write,
// and each of its folders likewise.
func Open() (string, error) {
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	for _, path := range []string{"", "journal", "runs", "layers", "downloads"} {
		if err := check(filepath.Join(dir, path)); err != nil {
			return "", fmt.Errorf("the folder for the state of runs is not used: %w", err)
		}
	}
	return dir, nil
}

// Run is the folder of a run in a home. It is refused as the home is: it may be older than
// the home's mode.
func Run(home, run string) (string, error) {
	dir := filepath.Join(home, "runs", run)
	return dir, check(dir)
}

// check refuses a folder of others; one that does not exist is fine.
func check(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", dir)
	}
	return kiln.CheckOwner(dir, info)
}

// ReadFile reads a file of a home, and refuses it as the home is refused.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = kiln.CheckOwner(path, info)
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}
