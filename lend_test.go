//go:build unix

package kiln

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func writeText(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

// What is there keeps being what it is: links lead on, pipes are written to, a file keeps
// its mode.
func TestWriteFileOntoWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	b := NewBuild(Build{Name: "b"}, Host{})
	file, link, pipe := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	if err := os.WriteFile(file, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.WriteFile(t.Context(), link, 0o666, writeText("through")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	info, statErr := os.Lstat(link)
	if string(text) != "through" || err != nil || statErr != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("%q %v, the link is %v %v", text, err, info, statErr)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	read := make(chan string)
	go func() {
		text, _ := os.ReadFile(pipe)
		read <- string(text)
	}()
	made, err := b.WriteFile(t.Context(), pipe, 0o666, writeText("into"))
	if got := <-read; err != nil || got != "into" {
		t.Errorf("the pipe's reader got %q, %v", got, err)
	}
	if err := RemoveFile(made)(context.Background()); err == nil {
		t.Error("a pipe that no build made would be removed")
	}
	if err := WriteFile(pipe+"/x", nil, 0o600); err == nil {
		t.Error("a file below a pipe was written")
	}
	if _, err := b.WriteFile(t.Context(), dir, 0o666, writeText("x")); err == nil {
		t.Error("a folder was replaced")
	}
	if open := b.Owned(); len(open) != 0 {
		t.Errorf("it owns %v", open)
	}
}
