//go:build unix

package diskconvert

import (
	"os"
	"syscall"
	"testing"
)

// usage is the size of a file and what of that its file system keeps, in bytes.
func usage(t *testing.T, path string) (size, kept int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size(), info.Sys().(*syscall.Stat_t).Blocks * 512
}
