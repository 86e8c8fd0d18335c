package journal

import (
	"errors"
	"os"
)

// removeAndClose removes a file. An open one cannot be removed here: whoever takes it
// in between finds a run that owns nothing.
func removeAndClose(f *os.File) error { return errors.Join(f.Close(), os.Remove(f.Name())) }
