package kilntest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kiln"
)

// CommunicatorOptions says what a machine under test is like.
type CommunicatorOptions struct {
	// Dir is a folder on the machine in which the suite may do as it likes.
	Dir string
	// NoNewlines: the way cannot bring names with a line break.
	NoNewlines bool
	// Busy: the machine answers nothing while something is sent to it.
	Busy bool
	// Through opens another way to the same machine, which leads through a relay: with it
	// is tested what comes of an upload that is cut off. Nil: nothing can come between.
	Through func(t *testing.T) (kiln.Communicator, *Relay)
}

// machine is what each part of the suite works on.
type machine struct {
	kiln.Communicator
	dialect
	CommunicatorOptions
}

// TestCommunicator is the suite that every communicator passes. Open is called for
// each part of it. The communicator's Guest says which shell it speaks to; one
// without a shell must refuse everything.
func TestCommunicator(t *testing.T, open func(t *testing.T) kiln.Communicator, o CommunicatorOptions) {
	parts := []struct {
		name string
		run  func(*testing.T, machine)
	}{
		{"run", testRun}, {"output", testOutput}, {"stdin", testStdin}, {"concurrent", testConcurrent},
		{"cancel", testCancel}, {"file", testFile}, {"existing", testExisting}, {"private", testPrivate},
		{"same", testSame}, {"cut", testCut}, {"missing", testMissing}, {"tree", testTree}, {"links", testLinks},
		{"pattern", testPattern},
	}
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) {
			c := open(t)
			t.Cleanup(func() { c.Close() })
			shell := c.Guest().Shell
			if shell == kiln.ShellNone {
				testNothing(t, c)
				return
			}
			d, ok := dialects[shell]
			if !ok {
				t.Fatalf("the suite has no table of commands for the shell %q", shell)
			}
			m := machine{c, d, o}
			m.Dir = o.Dir + "/" + p.name
			if _, stderr, err := Output(t.Context(), c, m.empty(m.Dir)); err != nil {
				t.Fatalf("make %s: %v %s", m.Dir, err, stderr)
			}
			p.run(t, m)
		})
	}
}

// testNothing is the whole suite of a communicator to which nothing can be said:
// no use of it may look like success.
func testNothing(t *testing.T, c kiln.Communicator) {
	if err := c.Run(t.Context(), &kiln.Cmd{Command: "true"}); err == nil {
		t.Error("a command succeeded")
	}
	if err := c.Upload(t.Context(), &kiln.Upload{Destination: "x", Content: strings.NewReader(""), Size: 0}); err == nil {
		t.Error("an upload succeeded")
	}
	if err := c.Download(t.Context(), &kiln.Download{Source: "x", Writer: io.Discard}); err == nil {
		t.Error("a download succeeded")
	}
}

func testRun(t *testing.T, m machine) {
	for command, want := range m.codes {
		if _, _, err := Output(t.Context(), m, command); Code(err) != want {
			t.Errorf("%s: %v, want code %d", command, err, want)
		}
	}
	out, errs, err := Output(t.Context(), m, m.both)
	if out != "a  b c\n" || errs != "x\n" || Code(err) != 2 {
		t.Errorf("got %q, %q, %v", out, errs, err)
	}
}

func testOutput(t *testing.T, m machine) {
	out, errs, err := Output(t.Context(), m, m.much)
	if err != nil || len(out) != 4<<20 || len(errs) != 1<<20 {
		t.Errorf("got %d and %d bytes, %v", len(out), len(errs), err)
	}
}

func testStdin(t *testing.T, m machine) {
	in := strings.Repeat("line of input\n", 100_000)
	var out bytes.Buffer
	err := m.Run(t.Context(), &kiln.Cmd{Command: m.count, Stdin: strings.NewReader(in), Stdout: &out})
	if err != nil || strings.TrimSpace(out.String()) != "1400000" {
		t.Errorf("got %q, %v", out.String(), err)
	}
	// A command that does not read its input ends all the same.
	if err := m.Run(t.Context(), &kiln.Cmd{Command: m.ignore, Stdin: strings.NewReader(in)}); err != nil {
		t.Error(err)
	}
}

func testConcurrent(t *testing.T, m machine) {
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			want := strings.Repeat(string(rune('a'+i)), 1000) + "\n"
			out, _, err := Output(t.Context(), m, m.echo(strings.TrimSpace(want)))
			if err != nil || out != want {
				t.Errorf("%d: got %d bytes, %v", i, len(out), err)
			}
		})
	}
	wg.Wait()
}

func testCancel(t *testing.T, m machine) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	err := m.Run(ctx, &kiln.Cmd{Command: m.sleep})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > patience {
		t.Errorf("%v after %s", err, time.Since(start))
	}
	if _, _, err := Output(t.Context(), m, m.nothing); err != nil {
		t.Errorf("after a cancelled command: %v", err)
	}
}

func testFile(t *testing.T, m machine) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for name, content := range map[string][]byte{"empty": nil, "small": []byte("x\n"), "big": big, "with blank 'and' \"quotes\" $x": []byte("y")} {
		path := m.Dir + "/" + name
		if err := m.Upload(t.Context(), &kiln.Upload{Destination: path, Content: bytes.NewReader(content), Size: int64(len(content)), Mode: 0o640}); err != nil {
			t.Errorf("upload %s: %v", name, err)
			continue
		}
		var back bytes.Buffer
		if err := m.Download(t.Context(), &kiln.Download{Source: path, Writer: &back}); err != nil ||
			!bytes.Equal(back.Bytes(), content) {
			t.Errorf("download %s: %d bytes, %v", name, back.Len(), err)
		}
	}
	if out, _, err := Output(t.Context(), m, m.mode(m.Dir+"/small")); strings.TrimSpace(out) != "640" {
		t.Errorf("mode %q, %v", out, err)
	}
	local := filepath.Join(t.TempDir(), "exec")
	if err := os.WriteFile(local, []byte(m.program), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.Upload(t.Context(), &kiln.Upload{Destination: m.Dir + "/exec", Source: local}); err != nil {
		t.Fatal(err)
	}
	if out, _, err := Output(t.Context(), m, m.Dir+"/exec"); out != "ran\n" {
		t.Errorf("the uploaded program: %q, %v", out, err)
	}
}

func testMissing(t *testing.T, m machine) {
	if err := m.Download(t.Context(), &kiln.Download{Source: m.Dir + "/none", Writer: io.Discard}); !errors.Is(
		err,
		kiln.ErrNotFound,
	) {
		t.Errorf("download of what is not there: %v", err)
	}
	if err := m.Download(t.Context(), &kiln.Download{Source: m.Dir + "/none/", Tree: true, ContentsOnly: true, Destination: t.TempDir()}); !errors.Is(
		err,
		kiln.ErrNotFound,
	) {
		t.Errorf("download of a folder that is not there: %v", err)
	}
	if err := m.Upload(t.Context(), &kiln.Upload{Source: filepath.Join(t.TempDir(), "none"), Destination: m.Dir + "/x"}); !errors.Is(
		err,
		kiln.ErrNotFound,
	) {
		t.Errorf("upload of what is not there: %v", err)
	}
	if err := m.Upload(t.Context(), &kiln.Upload{Destination: m.Dir + "/no/such/x", Content: strings.NewReader("x"), Size: 1}); err == nil {
		t.Error("an upload into a folder that is not there succeeded")
	}
}

// makeTree makes a local tree with all that a tree may hold.
func makeTree(t *testing.T, m machine) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "tree")
	files := map[string]os.FileMode{
		"plain":             0o644,
		"exec":              0o755,
		"secret":            0o600,
		"with blank":        0o644,
		"it's \"x\" $y `z`": 0o644,
		"sub/deep/er/file":  0o444,
		"ünïcode":           0o644,
	}
	if !m.NoNewlines {
		files["new\nline"] = 0o644
	}
	for name, mode := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("content of "+name), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{os.Mkdir(filepath.Join(root, "empty"), 0o750), os.Symlink("plain", filepath.Join(root, "link")),
		os.Symlink("nowhere", filepath.Join(root, "dangling")), os.Symlink("sub", filepath.Join(root, "dirlink"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func testTree(t *testing.T, m machine) {
	root := makeTree(t, m)
	want := listing(t, root)
	// A name that is not there becomes the tree; a folder that is there takes it in.
	for _, target := range []string{m.Dir + "/new", m.Dir + "/new"} {
		if err := m.Upload(t.Context(), &kiln.Upload{Source: root, Destination: target}); err != nil {
			t.Fatalf("upload to %s: %v", target, err)
		}
	}
	if err := m.Upload(t.Context(), &kiln.Upload{Source: root, Destination: m.Dir + "/contents", ContentsOnly: true}); err != nil {
		t.Fatal(err)
	}
	for _, remote := range []string{"/new/tree/", "/contents/"} {
		back := filepath.Join(t.TempDir(), "back")
		if err := m.Download(t.Context(), &kiln.Download{Source: m.Dir + remote, Tree: true, ContentsOnly: true, Destination: back}); err != nil {
			t.Fatalf("download %s: %v", remote, err)
		}
		if have := listing(t, back); have != want {
			t.Errorf("%s came back as\n%s\nnot\n%s", remote, have, want)
		}
	}
	if out, _, _ := Output(t.Context(), m, m.print(m.Dir+"/new/plain")); out != "content of plain" {
		t.Errorf("the tree under its new name: %q", out)
	}
}

// listing is a tree as text: names, modes, links, content.
func listing(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		b.WriteString(info.Mode().String() + " " + rel)
		switch {
		case info.Mode()&os.ModeSymlink != 0:
			to, _ := os.Readlink(path)
			b.WriteString(" -> " + to)
		case info.Mode().IsRegular():
			text, _ := os.ReadFile(path)
			b.WriteString(": " + string(text))
		}
		b.WriteString("\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func testPattern(t *testing.T, m machine) {
	if _, _, err := Output(t.Context(), m, m.logs(m.Dir)); err != nil {
		t.Fatal(err)
	}
	back := t.TempDir()
	if err := m.Download(t.Context(), &kiln.Download{Source: m.Dir + "/*.log", Tree: true, ContentsOnly: true, Destination: back}); err != nil {
		t.Fatal(err)
	}
	if have := listing(t, back); have != "-rw-r--r-- a.log: 1\n\n-rw-r--r-- b c.log: 2\n\n" {
		t.Errorf("got %q", have)
	}
}
