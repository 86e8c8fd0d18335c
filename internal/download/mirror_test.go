package download

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kiln"
)

// answer is how a server of the tests answers its nth request.
type answer = func(w http.ResponseWriter, r *http.Request, n int)

// Several servers of one file, of which some do not give it: the next one goes on where the
// one before ended.
func TestMirrors(t *testing.T) {
	text, other := content(1), content(2)
	const first = 1<<20 + 7
	good := func(w http.ResponseWriter, r *http.Request, _ int) { whole(w, r, text, `"good"`) }
	for _, c := range []struct {
		name    string
		servers []answer
		asked   []string // the ranges that each was asked for
		fails   []string // what the error says; nil: it succeeds
		told    string
	}{
		{"missing", []answer{status(404), good}, []string{"", ""}, nil, "bad response code: 404 Not Found"},
		{"cut", []answer{func(w http.ResponseWriter, _ *http.Request, _ int) { cut(w, text, "", first) }, good},
			[]string{"", "bytes=1048583-"}, nil, "going on at http"},
		{"another file", []answer{func(w http.ResponseWriter, r *http.Request, _ int) { whole(w, r, other, "") }, good},
			[]string{"", ""}, nil, "/0/f: checksums did not match: expected "},
		{"the part of another file", []answer{
			func(w http.ResponseWriter, _ *http.Request, _ int) { cut(w, other, "", first) }, good,
		}, []string{"", "bytes=1048583-,"}, nil, "going on at http"},
		{"none has it", []answer{status(404), status(403)}, []string{"", ""},
			[]string{"/0/f: bad response code: 404", "/1/f: bad response code: 403"}, ""},
		{"all have another", []answer{
			func(w http.ResponseWriter, r *http.Request, _ int) { whole(w, r, other, "") },
			func(w http.ResponseWriter, r *http.Request, _ int) { whole(w, r, other[:99], "") },
		}, []string{"", ""}, []string{"/0/f: checksums did not match: expected ", "/1/f: checksums did not match: expected "}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var servers []*site
			r := kiln.Remote{Checksum: sha(text), For: "ISO"}
			var all []string
			for i, a := range c.servers {
				s := serve(t, a)
				servers, all = append(servers, s), append(all, fmt.Sprintf("%s/%d/f", s.URL, i))
			}
			r.URL, r.Mirrors = all[0], all[1:]
			b, events := build()
			path, err := quick(t.TempDir()).Fetch(t.Context(), b, r)
			for i, s := range servers {
				if asked := strings.Join(s.requests(), ","); asked != c.asked[i] {
					t.Errorf("server %d was asked for %q, want %q", i, asked, c.asked[i])
				}
			}
			if said := fmt.Sprint(events()); !strings.Contains(said, c.told) {
				t.Errorf("it said %s", said)
			}
			if c.fails == nil {
				if err != nil {
					t.Fatal(err)
				}
				holds(t, path, text)
				return
			}
			for _, want := range c.fails {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q", err, want)
				}
			}
		})
	}
}

// A mirror that sends nothing, or nothing any more, is given up for the next.
func TestMirrorStalls(t *testing.T) {
	text := content(1)
	for name, answer := range map[string]answer{
		"at once":       func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() },
		"in the middle": func(w http.ResponseWriter, r *http.Request, _ int) { stall(w, r, text, 1<<20) },
	} {
		stalls := serve(t, answer)
		good := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) { whole(w, r, text, "") })
		store := quick(t.TempDir())
		// A machine that is slow enough stalls by itself: so both may be asked again.
		store.stall, store.tries = 600*time.Millisecond, 100
		b, events := build()
		path, err := store.Fetch(t.Context(), b,
			kiln.Remote{URL: stalls.URL, Mirrors: []string{good.URL}, Checksum: sha(text)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		holds(t, path, text)
		if said := fmt.Sprint(events()); !strings.Contains(said, "the server sends nothing any more; going on at "+good.URL) {
			t.Errorf("%s: it said %s", name, said)
		}
	}
}

// Without a checksum two addresses are two files.
func TestUncheckedMirrors(t *testing.T) {
	text, other := content(1), content(2)
	one := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) { cut(w, other, `"a"`, 1000) })
	two := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) { whole(w, r, text, `"a"`) })
	b, _ := build()
	path, err := quick(t.TempDir()).Fetch(t.Context(), b, kiln.Remote{
		URL: one.URL + "/f", Mirrors: []string{"missing.iso", two.URL + "/f"}, Checksum: "none", Unchecked: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	holds(t, path, text)
	if n := len(one.requests()); n != 3 {
		t.Errorf("the first was asked %d times", n)
	}
}

// What Packer's cache has is used under its name, and what is loaded stands there.
func TestPackersCache(t *testing.T) {
	for _, c := range []struct{ text, sum, extension, want string }{
		{"", "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", "iso",
			"6994f404e105a700cc4b2ca7647199ea4648e3f4.iso"},
		{"", "2D711642B726B04401627CA9FBAC32F5C8530FB1903CC4DB02258717921A4881", ".iso",
			"6994f404e105a700cc4b2ca7647199ea4648e3f4.iso"},
		{"http://example.com/a.iso", "none", "iso", "f71d06259aa8db0ba4805ea8f6a39e5cce91b4ec.iso"},
	} {
		src, err := parse("http://example.com/a.iso")
		if err != nil {
			t.Fatal(err)
		}
		f := &fetch{Store: New("notes", "/cache"), r: kiln.Remote{Checksum: c.sum, Extension: c.extension, Unchecked: true}}
		if f.want.kind, f.want.digits, err = f.r.Sum(); err != nil {
			t.Fatal(err)
		}
		if path, err := f.place(src); path != "/cache/"+c.want || err != nil {
			t.Errorf("%s, %v; want %s", path, err, c.want)
		}
	}
	text, etag := content(1), `"a"`
	s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) { whole(w, r, text, etag) })
	dir := t.TempDir()
	store := quick(dir)
	fetch := func(r kiln.Remote) (path string, said string) {
		t.Helper()
		b, events := build()
		path, err := store.Fetch(t.Context(), b, r)
		if err != nil {
			t.Fatal(err)
		}
		holds(t, path, text)
		return path, fmt.Sprint(events())
	}
	checked := kiln.Remote{URL: s.URL + "/f", Checksum: sha(text), Extension: "iso"}
	path := filepath.Join(dir, "cache", digest(sha(text))+".iso")
	put := func(text []byte) {
		t.Helper()
		old := time.Now().Add(-time.Hour)
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, text, 0o644), os.Chtimes(path, old, old))
		if err != nil {
			t.Fatal(err)
		}
	}
	put(text) // whole: it is checked, and nobody is asked
	if got, _ := fetch(checked); got != path || len(s.requests()) != 0 {
		t.Errorf("%s after %q", got, s.requests())
	}
	put(text[:1000]) // what Packer began
	if got, said := fetch(checked); got != path || strings.Join(s.requests(), ",") != "bytes=1000-" ||
		!strings.Contains(said, path+" is not whole") {
		t.Errorf("%s after %q; it said %s", got, s.requests(), said)
	}
	put(content(2)) // something else of the same length
	if got, _ := fetch(checked); got != path || strings.Join(s.requests()[1:], ",") != "" {
		t.Errorf("%s after %q", got, s.requests())
	}
	// Without a checksum what is there counts as long as it is as long as it should be.
	unchecked := kiln.Remote{URL: s.URL + "/g", Unchecked: true}
	path = filepath.Join(dir, "cache", digest(s.URL+"/g"))
	put(text)
	mark, err := kiln.Mark(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		fetch(unchecked)
		if now, err := kiln.Mark(path); now != mark || err != nil {
			t.Errorf("it was loaded again: %v", err)
		}
	}
	text, etag = text[:100], `"b"`
	fetch(unchecked)
}

func TestTarget(t *testing.T) {
	text := content(1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) { whole(w, r, text, "") })
	t.Chdir(t.TempDir())
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	store := quick(t.TempDir())
	for target, want := range map[string]string{
		"isos/my.iso": "isos/my.iso", "folder": "folder/" + digest(sha(text)) + ".img",
	} {
		for range 2 {
			b, _ := build()
			path, err := store.Fetch(t.Context(), b, kiln.Remote{URL: s.URL, Checksum: sha(text), Target: target, Extension: "img"})
			if err != nil || path != filepath.Join(wd, want) {
				t.Fatalf("%s: %s, %v", target, path, err)
			}
			holds(t, path, text)
		}
	}
	if n := len(s.requests()); n != 2 {
		t.Errorf("%d requests", n)
	}
	b, _ := build()
	if _, err := New(t.TempDir(), "").Fetch(t.Context(), b, kiln.Remote{URL: s.URL, Unchecked: true}); err == nil ||
		!strings.Contains(err.Error(), "there is no folder for downloads") {
		t.Errorf("%v", err)
	}
}

// A file is read once for as long as it stays as it is, in whatever process and by however
// many builds at once.
func TestNoSecondHash(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.iso")
	text := content(1)
	old := time.Now().Add(-time.Hour)
	put := func(text []byte, when time.Time) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, text, 0o644), os.Chtimes(path, when, when)); err != nil {
			t.Fatal(err)
		}
	}
	read := func() (times int) {
		t.Helper()
		const builds = 4
		read, ended := make(chan bool, builds), make(chan error, builds)
		for range builds {
			go func() {
				b := kiln.NewBuild(kiln.Build{}, kiln.Host{Emit: func(e kiln.Event) {
					if e.Kind == kiln.EventProgress && e.Done == e.Total {
						read <- true
					}
				}})
				_, err := at(dir).Fetch(t.Context(), b, kiln.Remote{URL: path, Checksum: sha(text)})
				ended <- err
			}()
		}
		for range builds {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		return len(read)
	}
	put(text, old)
	if n := read(); n != 1 {
		t.Errorf("at first it was read %d times", n)
	}
	if n := read(); n != 0 {
		t.Errorf("then it was read %d times", n)
	}
	put(text, old.Add(time.Second))
	if n := read(); n != 1 {
		t.Errorf("when its time had changed it was read %d times", n)
	}
	if err := os.Rename(path, path+"2"); err != nil {
		t.Fatal(err)
	}
	put(text, old.Add(time.Second))
	if n := read(); n != 1 {
		t.Errorf("when it was another file it was read %d times", n)
	}
}

// What is known does not grow without end.
func TestNotesAreBounded(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) { whole(w, r, content(1), "") })
	dir := t.TempDir()
	store := quick(dir)
	for i := range maxNotes + 20 {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := store.write(path, sum{}, notes{Mark: "x"}); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-time.Duration(i) * time.Minute)
		if i < 10 {
			when = time.Now().Add(-2 * oldNotes)
		}
		if err := os.Chtimes(store.note(path, sum{}), when, when); err != nil {
			t.Fatal(err)
		}
	}
	b, _ := build()
	if _, err := store.Fetch(t.Context(), b, kiln.Remote{URL: s.URL, Checksum: sha(content(1))}); err != nil {
		t.Fatal(err)
	}
	if n := len(parts(t, dir, "json")); n > maxNotes+1 {
		t.Errorf("%d notes", n)
	}
	last := filepath.Join(dir, fmt.Sprint(maxNotes+19))
	if store.read(last, sum{}).Mark != "" || store.read(filepath.Join(dir, "11"), sum{}).Mark == "" {
		t.Error("not the oldest notes went")
	}
}

func TestHashAll(t *testing.T) {
	for _, size := range []int{0, 1, blockSize - 1, blockSize, blockSize + 1, 7*blockSize + 3} {
		text := make([]byte, size)
		for i := range text {
			text[i] = byte(i * 7)
		}
		h := sum{kind: "sha256"}.new()
		n, err := hashAll(t.Context(), h, strings.NewReader(string(text)), nil)
		if err != nil || n != int64(size) || "sha256:"+fmt.Sprintf("%x", h.Sum(nil)) != sha(text) {
			t.Errorf("%d bytes: %d, %v", size, n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := hashAll(ctx, sum{kind: "md5"}.new(), endless{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := hashAll(t.Context(), sum{kind: "md5"}.new(), failing{}, nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, os.ErrClosed }
