//go:build unix

package httpd

import (
	"path/filepath"
	"syscall"
	"testing"
)

// A pipe that nobody writes to keeps no request.
func TestPipe(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, _, port := start(t, Config{Directory: dir})
	if status, _, _ := get(t, port, "GET", "/pipe"); status != 404 {
		t.Errorf("it is %d", status)
	}
}
