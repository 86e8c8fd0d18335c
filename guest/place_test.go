package guest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Of what was cut off nothing stays, even where nobody hears the complaint any more.
func TestCutOff(t *testing.T) {
	for name, script := range map[string]func(dir string) string{
		"file": func(dir string) string {
			return NewPlacing(dir+"/new").File(`cat >"$f"`, 1000, 0o644)
		},
		"over a file": func(dir string) string {
			return NewPlacing(dir+"/old").File(`cat >"$f"`, 1000, 0o644)
		},
		"tree": func(dir string) string {
			return NewPlacing(dir+"/tree").Tree(`(cat >"$t/f"; echo cut off >&2; exit 1)`, "", 0o755)
		},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "old"), []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close() // as when the connection has ended
		cmd := exec.Command("sh", "-c", script(dir))
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("a part"), w, w
		err = cmd.Run()
		w.Close()
		left, readErr := os.ReadDir(dir)
		old, _ := os.ReadFile(filepath.Join(dir, "old"))
		if err == nil || readErr != nil || len(left) != 1 || string(old) != "old" {
			t.Errorf("%s: %v, left %v, %q", name, err, left, old)
		}
	}
}

// A refusal names what the template names, not the part that stands for it.
func TestRefused(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for name, want := range map[string]string{
		none + "/file": "folder " + none + ": not found on the machine\n",
		"/proc/file":   "/proc/file: ",
	} {
		out, err := exec.Command("sh", "-c", NewPlacing(name).File(`cat >"$f"`, 0, 0o644)).CombinedOutput()
		if err == nil || !strings.HasPrefix(string(out), want) || strings.Contains(string(out), ".kiln-part") {
			t.Errorf("got %q, %v, want %q", out, err, want)
		}
	}
}
