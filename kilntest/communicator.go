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
}

// TestCommunicator is the suite that every communicator passes. Open is called for
// each part of it.
func TestCommunicator(t *testing.T, open func(t *testing.T) kiln.Communicator, o CommunicatorOptions) {
	parts := []struct {
		name string
		run  func(*testing.T, kiln.Communicator, CommunicatorOptions)
	}{
		{"run", testRun}, {"output", testOutput}, {"stdin", testStdin}, {"concurrent", testConcurrent}, {"cancel", testCancel},
		{"file", testFile}, {"missing", testMissing}, {"tree", testTree}, {"pattern", testPattern},
	}
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) {
			c := open(t)
			t.Cleanup(func() { c.Close() })
			sub := o
			sub.Dir = o.Dir + "/" + p.name
			if _, stderr, err := Output(t.Context(), c, "rm -rf "+sub.Dir+" && mkdir -p "+sub.Dir); err != nil {
				t.Fatalf("make %s: %v %s", sub.Dir, err, stderr)
			}
			p.run(t, c, sub)
		})
	}
}

func testRun(t *testing.T, c kiln.Communicator, _ CommunicatorOptions) {
	for command, want := range map[string]int{"true": 0, "exit 3": 3, "false": 1, "no-such-program-at-all": 127, "exit 255": 255} {
		if _, _, err := Output(t.Context(), c, command); Code(err) != want {
			t.Errorf("%s: %v, want code %d", command, err, want)
		}
	}
	out, errs, err := Output(t.Context(), c, `echo "a  b" 'c'; echo x >&2; exit 2`)
	if out != "a  b c\n" || errs != "x\n" || Code(err) != 2 {
		t.Errorf("got %q, %q, %v", out, errs, err)
	}
}

func testOutput(t *testing.T, c kiln.Communicator, _ CommunicatorOptions) {
	out, errs, err := Output(t.Context(), c, "dd if=/dev/zero bs=1024 count=4096 2>/dev/null; dd if=/dev/zero bs=1024 count=1024 >&2 2>/dev/null")
	if err != nil || len(out) != 4<<20 || len(errs) != 1<<20 {
		t.Errorf("got %d and %d bytes, %v", len(out), len(errs), err)
	}
}

func testStdin(t *testing.T, c kiln.Communicator, _ CommunicatorOptions) {
	in := strings.Repeat("line of input\n", 100_000)
	var out bytes.Buffer
	if err := c.Run(t.Context(), &kiln.Cmd{Command: "wc -c", Stdin: strings.NewReader(in), Stdout: &out}); err != nil || strings.TrimSpace(out.String()) != "1400000" {
		t.Errorf("got %q, %v", out.String(), err)
	}
	// A command that does not read its input ends all the same.
	if err := c.Run(t.Context(), &kiln.Cmd{Command: "exit 0", Stdin: strings.NewReader(in)}); err != nil {
		t.Error(err)
	}
}

func testConcurrent(t *testing.T, c kiln.Communicator, _ CommunicatorOptions) {
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			want := strings.Repeat(string(rune('a'+i)), 1000) + "\n"
			out, _, err := Output(t.Context(), c, "echo "+strings.TrimSpace(want))
			if err != nil || out != want {
				t.Errorf("%d: got %d bytes, %v", i, len(out), err)
			}
		})
	}
	wg.Wait()
}

func testCancel(t *testing.T, c kiln.Communicator, _ CommunicatorOptions) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	err := c.Run(ctx, &kiln.Cmd{Command: "sleep 20"})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 10*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
	if _, _, err := Output(t.Context(), c, "true"); err != nil {
		t.Errorf("after a cancelled command: %v", err)
	}
}

func testFile(t *testing.T, c kiln.Communicator, o CommunicatorOptions) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for name, content := range map[string][]byte{"empty": nil, "small": []byte("x\n"), "big": big, "with blank 'and' \"quotes\" $x": []byte("y")} {
		path := o.Dir + "/" + name
		if err := c.Upload(t.Context(), &kiln.Upload{Destination: path, Content: bytes.NewReader(content), Size: int64(len(content)), Mode: 0o640}); err != nil {
			t.Errorf("upload %s: %v", name, err)
			continue
		}
		var back bytes.Buffer
		if err := c.Download(t.Context(), &kiln.Download{Source: path, Writer: &back}); err != nil || !bytes.Equal(back.Bytes(), content) {
			t.Errorf("download %s: %d bytes, %v", name, back.Len(), err)
		}
	}
	if out, _, err := Output(t.Context(), c, "stat -c %a "+o.Dir+"/small"); strings.TrimSpace(out) != "640" {
		t.Errorf("mode %q, %v", out, err)
	}
	local := filepath.Join(t.TempDir(), "exec")
	if err := os.WriteFile(local, []byte("#!/bin/sh\necho ran\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.Upload(t.Context(), &kiln.Upload{Destination: o.Dir + "/exec", Source: local}); err != nil {
		t.Fatal(err)
	}
	if out, _, err := Output(t.Context(), c, o.Dir+"/exec"); out != "ran\n" {
		t.Errorf("the uploaded program: %q, %v", out, err)
	}
}

func testMissing(t *testing.T, c kiln.Communicator, o CommunicatorOptions) {
	if err := c.Download(t.Context(), &kiln.Download{Source: o.Dir + "/none", Writer: io.Discard}); !errors.Is(err, kiln.ErrNotFound) {
		t.Errorf("download of what is not there: %v", err)
	}
	if err := c.Download(t.Context(), &kiln.Download{Source: o.Dir + "/none/", Tree: true, ContentsOnly: true, Destination: t.TempDir()}); !errors.Is(err, kiln.ErrNotFound) {
		t.Errorf("download of a folder that is not there: %v", err)
	}
	if err := c.Upload(t.Context(), &kiln.Upload{Source: filepath.Join(t.TempDir(), "none"), Destination: o.Dir + "/x"}); !errors.Is(err, kiln.ErrNotFound) {
		t.Errorf("upload of what is not there: %v", err)
	}
	if err := c.Upload(t.Context(), &kiln.Upload{Destination: o.Dir + "/no/such/x", Content: strings.NewReader("x"), Size: 1}); err == nil {
		t.Error("an upload into a folder that is not there succeeded")
	}
}

// makeTree makes a local tree with all that a tree may hold.
func makeTree(t *testing.T, o CommunicatorOptions) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "tree")
	files := map[string]os.FileMode{"plain": 0o644, "exec": 0o755, "secret": 0o600, "with blank": 0o644, "it's \"x\" $y `z`": 0o644, "sub/deep/er/file": 0o444, "ünïcode": 0o644}
	if !o.NoNewlines {
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

func testTree(t *testing.T, c kiln.Communicator, o CommunicatorOptions) {
	root := makeTree(t, o)
	want := listing(t, root)
	// A name that is not there becomes the tree; a folder that is there takes it in.
	for _, target := range []string{o.Dir + "/new", o.Dir + "/new"} {
		if err := c.Upload(t.Context(), &kiln.Upload{Source: root, Destination: target}); err != nil {
			t.Fatalf("upload to %s: %v", target, err)
		}
	}
	if err := c.Upload(t.Context(), &kiln.Upload{Source: root, Destination: o.Dir + "/contents", ContentsOnly: true}); err != nil {
		t.Fatal(err)
	}
	for _, remote := range []string{"/new/tree/", "/contents/"} {
		back := filepath.Join(t.TempDir(), "back")
		if err := c.Download(t.Context(), &kiln.Download{Source: o.Dir + remote, Tree: true, ContentsOnly: true, Destination: back}); err != nil {
			t.Fatalf("download %s: %v", remote, err)
		}
		if have := listing(t, back); have != want {
			t.Errorf("%s came back as\n%s\nnot\n%s", remote, have, want)
		}
	}
	if out, _, _ := Output(t.Context(), c, "cat "+o.Dir+"/new/plain"); out != "content of plain" {
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

func testPattern(t *testing.T, c kiln.Communicator, o CommunicatorOptions) {
	if _, _, err := Output(t.Context(), c, "cd "+o.Dir+" && echo 1 >a.log && echo 2 >'b c.log' && echo 3 >d.txt"); err != nil {
		t.Fatal(err)
	}
	back := t.TempDir()
	if err := c.Download(t.Context(), &kiln.Download{Source: o.Dir + "/*.log", Tree: true, ContentsOnly: true, Destination: back}); err != nil {
		t.Fatal(err)
	}
	if have := listing(t, back); have != "-rw-r--r-- a.log: 1\n\n-rw-r--r-- b c.log: 2\n\n" {
		t.Errorf("got %q", have)
	}
}
