//go:build !windows

package journal

import (
	"errors"
	"os"
)

// removeAndClose removes a file before its lock goes, so that nobody else takes it for
// the journal of a run that crashed.
func removeAndClose(f *os.File) error { return errors.Join(os.Remove(f.Name()), f.Close()) }
