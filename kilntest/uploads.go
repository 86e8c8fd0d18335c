package kilntest

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kiln"
)

// localFile makes a file of this machine.
func localFile(t *testing.T, path string, text []byte, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}

// ask runs a command that must succeed, and gives what it printed.
func (m machine) ask(t *testing.T, command string) string {
	t.Helper()
	out, stderr, err := Output(t.Context(), m, command)
	if err != nil {
		t.Errorf("%s: %v %s", command, err, stderr)
	}
	return strings.TrimSpace(out)
}

// whole fails where something is left that is not whole.
func (m machine) whole(t *testing.T) {
	t.Helper()
	if left := m.ask(t, m.parts(m.Dir)); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

// testExisting: what is there keeps its mode; a folder is not written to as a file.
func testExisting(t *testing.T, m machine) {
	open := localFile(t, filepath.Join(t.TempDir(), "open"), []byte("new\n"), 0o644)
	for _, up := range []*kiln.Upload{
		{Source: open}, {Content: strings.NewReader("new\n"), Size: 4, Mode: 0o755},
	} {
		path := m.Dir + "/secret"
		m.ask(t, m.make(path, "600"))
		up.Destination = path
		if err := m.Upload(t.Context(), up); err != nil {
			t.Fatal(err)
		}
		if mode, text := m.ask(t, m.mode(path)), m.ask(t, m.print(path)); mode != "600" || text != "new" {
			t.Errorf("a file that existed has mode %s and content %q", mode, text)
		}
	}
	// The same holds within a tree, for folders too.
	root := filepath.Join(t.TempDir(), "tree")
	localFile(t, filepath.Join(root, "d", "secret"), []byte("newer\n"), 0o644)
	localFile(t, filepath.Join(root, "d", "other"), []byte("other\n"), 0o640)
	m.ask(t, m.empty(m.Dir+"/in/d"))
	m.ask(t, m.make(m.Dir+"/in/d/secret", "600"))
	m.ask(t, m.make(m.Dir+"/in/d/mine", "644"))
	if err := m.Upload(t.Context(), &kiln.Upload{Source: root, Destination: m.Dir + "/in", ContentsOnly: true}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"secret": "600 newer", "other": "640 other", "mine": "644 old"} {
		path := m.Dir + "/in/d/" + name
		if got := m.ask(t, m.mode(path)) + " " + m.ask(t, m.print(path)); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	err := m.Upload(t.Context(), &kiln.Upload{Source: open, Destination: m.Dir + "/in"})
	if err == nil || !strings.Contains(err.Error(), "Is a directory") {
		t.Errorf("a file as the name of a folder: %v", err)
	}
	if names := m.ask(t, m.names(m.Dir+"/in")); names != "d" {
		t.Errorf("the folder holds %q", names)
	}
	m.whole(t)
}

// gate is a place in a stream where it stops until it is opened.
type gate struct{ reached, open chan struct{} }

func (g gate) Read([]byte) (int, error) {
	close(g.reached)
	<-g.open
	return 0, io.EOF
}

// testPrivate: while a file is sent, nobody else can read it, nor guess its name.
func testPrivate(t *testing.T, m machine) {
	if m.Busy {
		t.Skip("nobody can look at it meanwhile")
	}
	content := make([]byte, 3<<20)
	_, _ = rand.Read(content)
	stop := gate{make(chan struct{}), make(chan struct{})}
	slow := io.MultiReader(bytes.NewReader(content[:2<<20]), stop, bytes.NewReader(content[2<<20:]))
	done := make(chan error, 1)
	go func() {
		done <- m.Upload(t.Context(), &kiln.Upload{
			Destination: m.Dir + "/secret", Content: slow, Size: int64(len(content)), Mode: 0o644,
		})
	}()
	<-stop.reached
	// What was read may not have arrived yet.
	var parts string
	Eventually(t, "a part of the file", func() bool {
		parts = m.ask(t, m.parts(m.Dir))
		return parts != ""
	})
	if names := m.ask(t, m.names(m.Dir)); strings.Contains(names, "secret") {
		t.Errorf("in the middle of it the name is there: %q", names)
	}
	if first, _, _ := strings.Cut(parts, "\n"); !strings.HasPrefix(first, "600 ") && !strings.HasPrefix(first, "700 ") {
		t.Errorf("others can read a part: %q", parts)
	}
	close(stop.open)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if mode := m.ask(t, m.mode(m.Dir+"/secret")); mode != "644" {
		t.Errorf("mode %s", mode)
	}
	m.whole(t)
}

// testSame: two uploads to one name both succeed, and one of them wins whole.
func testSame(t *testing.T, m machine) {
	text := [2]string{strings.Repeat("a", 1<<20), strings.Repeat("b", 1<<20)}
	for _, name := range []string{"new", "new", "old"} {
		path := m.Dir + "/" + name
		if name == "old" {
			m.ask(t, m.make(path, "640"))
		}
		var wg sync.WaitGroup
		for _, s := range text {
			wg.Go(func() {
				err := m.Upload(t.Context(), &kiln.Upload{
					Destination: path, Content: strings.NewReader(s), Size: int64(len(s)), Mode: 0o600,
				})
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		wg.Wait()
		if got := m.ask(t, m.print(path)); got != text[0] && got != text[1] {
			t.Errorf("%s is neither the one nor the other", name)
		}
	}
	m.whole(t)
}

// testCut cuts the connection, or cancels, in the middle of an upload: nothing is at the
// name, and what was there is as it was.
func testCut(t *testing.T, m machine) {
	if m.Through == nil {
		t.Skip("nothing can come between")
	}
	big := make([]byte, 6<<20)
	_, _ = rand.Read(big)
	dir := t.TempDir()
	file := localFile(t, filepath.Join(dir, "file"), big, 0o755)
	root := filepath.Join(dir, "tree")
	localFile(t, filepath.Join(root, "big"), big, 0o755)
	for name, up := range map[string]*kiln.Upload{
		"file": {Source: file, Destination: m.Dir + "/file"},
		"old":  {Source: file, Destination: m.Dir + "/old"},
		"tree": {Source: root, Destination: m.Dir + "/tree"},
		"in":   {Source: root, Destination: m.Dir + "/in", ContentsOnly: true},
	} {
		m.ask(t, m.make(m.Dir+"/old", "600"))
		m.ask(t, m.empty(m.Dir+"/in"))
		for _, how := range []string{"cut", "cancel"} {
			m.cut(t, name+" "+how, up, how == "cut")
		}
	}
	if names := strings.Fields(m.ask(t, m.names(m.Dir))); strings.Join(withoutParts(names), " ") != "in old" {
		t.Errorf("there are %q", names)
	}
	if names := strings.Fields(m.ask(t, m.names(m.Dir+"/in"))); len(withoutParts(names)) > 0 {
		t.Errorf("in the folder there are %q", names)
	}
	if got := m.ask(t, m.mode(m.Dir+"/old")) + m.ask(t, m.print(m.Dir+"/old")); got != "600old" {
		t.Errorf("what was there before is %.100q", got)
	}
	for _, part := range strings.Split(m.ask(t, m.parts(m.Dir)), "\n") {
		// What nobody could take away can be run by nobody but who sent it.
		if part != "" && !strings.HasPrefix(part, "600 ") && !strings.HasPrefix(part, "700 ") && !m.within(t, part) {
			t.Errorf("left behind, and open: %s", part)
		}
	}
}

// within reports whether a part is in a folder of parts, which is closed.
func (m machine) within(t *testing.T, part string) bool {
	_, path, _ := strings.Cut(part, " ")
	i := strings.Index(path, ".kiln-part-")
	j := strings.IndexByte(path[i:], '/')
	return j > 0 && m.ask(t, m.mode(path[:i+j])) == "700"
}

// withoutParts leaves out what cannot be taken for anything else.
func withoutParts(names []string) (rest []string) {
	for _, n := range names {
		if !strings.HasPrefix(n, ".kiln-part-") {
			rest = append(rest, n)
		}
	}
	return rest
}

func (m machine) cut(t *testing.T, name string, up *kiln.Upload, cut bool) {
	t.Helper()
	way, relay := m.Through(t)
	defer way.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stopped := relay.Hold(4 << 20)
	done := make(chan error, 1)
	go func() { done <- way.Upload(ctx, up) }()
	select {
	case <-stopped:
	case err := <-done:
		t.Fatalf("%s: it ended too early: %v", name, err)
	}
	if cut {
		relay.Cut()
	} else {
		cancel()
	}
	select {
	case err := <-done:
		if err == nil {
			t.Errorf("%s: an upload that was cut off succeeded", name)
		}
	case <-time.After(time.Minute):
		t.Fatalf("%s: the upload does not end", name)
	}
	if !cut {
		relay.Cut()
	}
}

// testLinks: a link to a tree is the tree; links that lead out of it are followed, others
// are kept, and so are hard links.
func testLinks(t *testing.T, m machine) {
	dir := t.TempDir()
	root := filepath.Join(dir, "tree")
	localFile(t, filepath.Join(dir, "out", "file"), []byte("outside\n"), 0o755)
	localFile(t, filepath.Join(root, "sub", "a"), []byte("a\n"), 0o644)
	for _, err := range []error{
		os.Link(filepath.Join(root, "sub", "a"), filepath.Join(root, "hard")),
		os.Symlink("sub/a", filepath.Join(root, "in")),
		os.Symlink(filepath.Join(root, "sub"), filepath.Join(root, "abs")),
		os.Symlink("../out/file", filepath.Join(root, "file")),
		os.Symlink(filepath.Join(dir, "out"), filepath.Join(root, "folder")),
		os.Symlink("tree", filepath.Join(dir, "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for source, there := range map[string]string{
		root: "/plain", filepath.Join(dir, "link"): "/linked", filepath.Join(dir, "link") + "/": "/contents",
	} {
		at := m.Dir + there
		up := &kiln.Upload{Source: source, Destination: at, ContentsOnly: strings.HasSuffix(source, "/")}
		if err := m.Upload(t.Context(), up); err != nil {
			t.Fatal(err)
		}
		var print []string
		for _, name := range []string{"/sub/a", "/in", "/abs/a", "/hard", "/file", "/folder/file"} {
			print = append(print, m.print(at+name))
		}
		got := m.ask(t, strings.Join(print, "; "))
		if want := "a\na\na\na\noutside\noutside"; got != want {
			t.Errorf("%s holds %q, not %q", there, got, want)
		}
		check := []string{m.same(at+"/hard", at+"/sub/a"), m.link(at + "/in"), m.link(at + "/abs")}
		m.ask(t, strings.Join(check, " && "))
		if mode := m.ask(t, m.mode(at+"/file")); mode != "755" {
			t.Errorf("what a link leads to has mode %s", mode)
		}
	}
	m.whole(t)
}
