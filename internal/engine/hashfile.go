package engine

import (
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
)

// hashFile adds one entry of a tree to a hash. Times do not count: they change
// with every checkout.
func hashFile(h hash.Hash, root, path string) error {
	name, err := filepath.Rel(root, path)
	if err != nil {
		return err
	}
	stat := os.Lstat
	if path == root {
		stat = os.Stat
	}
	info, err := stat(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(h, "%q %v %d\n", name, info.Mode(), info.Size())
	switch {
	case info.Mode()&os.ModeSymlink != 0:
		target, err := os.Readlink(path)
		fmt.Fprintf(h, "%q\n", target)
		return err
	case info.Mode().IsRegular():
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(h, f)
		return err
	}
	return nil
}
