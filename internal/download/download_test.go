package download

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kiln"
)

// content makes a file of 3 MiB; the same number makes the same file.
func content(n uint64) []byte {
	text := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{byte(n)}).Read(text)
	return text
}

func sha(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// site is a web server that notes the ranges it was asked for.
type site struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

// serve answers with a function, which is given the number of the request from 1.
func serve(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, n int)) *site {
	s := &site{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Header.Get("Range"))
		n := len(s.asked)
		s.mu.Unlock()
		answer(w, r, n)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// whole answers as a good server does, ranges and validators included.
func whole(w http.ResponseWriter, r *http.Request, text []byte, etag string) {
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
}

// cut promises all and ends in the middle.
func cut(w http.ResponseWriter, text []byte, etag string, after int) {
	begin(w, text, etag, after)
	panic(http.ErrAbortHandler)
}

func begin(w http.ResponseWriter, text []byte, etag string, after int) {
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(text)))
	w.Write(text[:after])
	w.(http.Flusher).Flush()
}

// status answers with a code and nothing else.
func status(code int) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(code) }
}

// stall begins and then sends nothing until the client goes away.
func stall(w http.ResponseWriter, r *http.Request, text []byte, after int) {
	begin(w, text, `"a"`, after)
	<-r.Context().Done()
}

// quick is a store whose pauses are short.
func quick(dir string) *Store {
	s := at(dir)
	s.pause = time.Millisecond
	return s
}

// until waits until something is so. That it never comes the time of the whole test tells.
func until(is func() bool) {
	for !is() {
		time.Sleep(time.Millisecond)
	}
}

// build makes a build and a function that gives its events.
func build() (*kiln.Build, func() []kiln.Event) {
	var mu sync.Mutex
	var events []kiln.Event
	b := kiln.NewBuild(kiln.Build{Name: "test"}, kiln.Host{Emit: func(e kiln.Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	}})
	return b, func() []kiln.Event {
		mu.Lock()
		defer mu.Unlock()
		return append([]kiln.Event(nil), events...)
	}
}

// at makes a store in a folder of the test.
func at(dir string) *Store { return New(filepath.Join(dir, "notes"), filepath.Join(dir, "cache")) }

// parts lists what is left of downloads in a store that at made: parts, or notes for json.
func parts(t *testing.T, dir, kind string) []string {
	t.Helper()
	pattern := map[string]string{"part": "cache/*" + partSuffix, "json": "notes/*.json", "*": "*/*"}[kind]
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func holds(t *testing.T, path string, want []byte) {
	t.Helper()
	have, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(have, want) {
		t.Errorf("%s holds %d bytes that are not the file's, %v", path, len(have), err)
	}
}

func TestFetch(t *testing.T) {
	text := content(1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) { whole(w, r, text, "") })
	dir := t.TempDir()
	b, events := build()
	remote := kiln.Remote{URL: s.URL + "/a/disk.img", Checksum: sha(text), Extension: "img"}
	path, err := quick(dir).Fetch(t.Context(), b, remote)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, path, text)
	if filepath.Dir(path) != filepath.Join(dir, "cache") || !strings.HasSuffix(path, ".img") || len(parts(t, dir, "part")) != 0 {
		t.Errorf("path %s, parts %v", path, parts(t, dir, "part"))
	}
	all := events()
	last, size := all[len(all)-1], int64(len(text))
	if last.Kind != kiln.EventProgress || last.Done != size || last.Total != size || last.Text != "disk.img" {
		t.Errorf("the last event is %+v", last)
	}
	// The same content from elsewhere, in another run.
	remote.URL = s.URL + "/mirror"
	if again, err := quick(dir).Fetch(t.Context(), b, remote); err != nil || again != path {
		t.Errorf("%s, %v", again, err)
	}
	if n := len(s.requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
	// A file that somebody changed does not count.
	if err := os.WriteFile(path, []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	if path, err = quick(dir).Fetch(t.Context(), b, remote); err != nil {
		t.Fatal(err)
	}
	holds(t, path, text)
}

// What servers do wrong, and what becomes of it. Each answers with file 1 first and is
// asked for file 2 where the case says so.
func TestFaults(t *testing.T) {
	one, two := content(1), content(2)
	const first = 1<<20 + 7
	for _, c := range []struct {
		name     string
		answer   func(w http.ResponseWriter, r *http.Request, n int)
		want     []byte // nil: the download fails
		fails    string // what the error says
		requests string // the ranges that are asked for
	}{
		{"cut, then the rest", func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				cut(w, one, `"a"`, first)
			}
			whole(w, r, one, `"a"`)
		}, one, "", ",bytes=1048583-"},
		{"cut, no validator", func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				cut(w, one, "", first)
			}
			whole(w, r, one, "")
		}, one, "", ",bytes=1048583-"},
		{"changes between ranges", func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				cut(w, one, `"a"`, first)
			}
			whole(w, r, two, `"b"`)
		}, two, "", ",bytes=1048583-"},
		{"changes, and ignores If-Range", func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				cut(w, one, `"a"`, first)
			}
			r.Header.Del("If-Range")
			whole(w, r, two, `"b"`)
		}, two, "", ",bytes=1048583-,"},
		{"changes, and says nothing", func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				cut(w, one, "", first)
			}
			whole(w, r, two, "")
		}, two, "", ",bytes=1048583-,"},
		{"ignores ranges", func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				cut(w, one, `"a"`, first)
			}
			r.Header.Del("Range")
			whole(w, r, one, `"a"`)
		}, one, "", ",bytes=1048583-"},
		{"sends another range", func(w http.ResponseWriter, r *http.Request, n int) {
			switch n {
			case 1:
				cut(w, one, `"a"`, first)
			case 2:
				r.Header.Set("Range", "bytes=5-")
			}
			whole(w, r, one, `"a"`)
		}, one, "", ",bytes=1048583-,"},
		{"became shorter", func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				cut(w, one, "", first)
			}
			whole(w, r, two[:1000], "")
		}, two[:1000], "", ",bytes=1048583-,"},
		{"promises too much, always", func(w http.ResponseWriter, r *http.Request, _ int) {
			w.Header().Set("Content-Length", "99")
			w.Write(one[:10])
		}, nil, "given up after 3 tries", ",bytes=10-,bytes=10-"},
		{"promises too little", func(w http.ResponseWriter, r *http.Request, _ int) {
			w.Header().Set("Content-Length", "9")
			w.Write(one[:9])
		}, nil, "checksums did not match", ""},
		{"500, then all", func(w http.ResponseWriter, r *http.Request, n int) {
			if n < 3 {
				w.Header().Set("Retry-After", "0")
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			whole(w, r, one, "")
		}, one, "", ",,"},
		{"503 for ever", status(503), nil, "bad response code: 503", ",,"},
		{"404", status(404), nil, "bad response code: 404", ""},
		{"403", status(403), nil, "bad response code: 403", ""},
		{"206 unasked", status(206), nil, "bad response code: 206", ""},
		{"redirects in a loop", func(w http.ResponseWriter, r *http.Request, n int) {
			http.Redirect(w, r, fmt.Sprint("/", n), http.StatusFound)
		}, nil, "stopped after 10 redirects", ",,,,,,,,,"},
		{"redirects to a file", func(w http.ResponseWriter, r *http.Request, n int) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}, nil, "redirected to a file address", ""},
		{"redirects once", func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				http.Redirect(w, r, "/there", http.StatusFound)
				return
			}
			whole(w, r, one, "")
		}, one, "", ","},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.answer)
			store := quick(t.TempDir())
			store.tries = 3
			b, _ := build()
			want := c.want
			if want == nil {
				want = one
			}
			path, err := store.Fetch(t.Context(), b, kiln.Remote{URL: s.URL + "/f", Checksum: sha(want)})
			if asked := strings.Join(s.requests(), ","); asked != c.requests {
				t.Errorf("asked for %q, want %q", asked, c.requests)
			}
			if c.want != nil {
				if err != nil {
					t.Fatal(err)
				}
				holds(t, path, c.want)
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%v, want %q", err, c.fails)
			}
			if files, err := filepath.Glob(filepath.Join(store.cache, "*[0-9a-f]")); len(files) != 0 || err != nil {
				t.Errorf("in the store there is %v, %v", files, err)
			}
		})
	}
}

func TestKindsOfRefusal(t *testing.T) {
	for code, kind := range map[int]error{
		404: kiln.ErrNotFound, 410: kiln.ErrNotFound, 401: kiln.ErrDenied, 403: kiln.ErrDenied,
	} {
		s := serve(t, status(code))
		b, _ := build()
		_, err := quick(t.TempDir()).Fetch(t.Context(), b, kiln.Remote{URL: s.URL, Unchecked: true})
		if !errors.Is(err, kind) {
			t.Errorf("%d: %v", code, err)
		}
	}
}

func TestWrongChecksum(t *testing.T) {
	text := content(1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) { whole(w, r, text, "") })
	dir := t.TempDir()
	b, _ := build()
	wrong := strings.Repeat("ab", 32)
	_, err := quick(dir).Fetch(t.Context(), b, kiln.Remote{URL: s.URL + "/f", Checksum: wrong})
	both := fmt.Sprintf("expected %s, got %s", wrong, sha(text)[len("sha256:"):])
	if err == nil || !strings.Contains(err.Error(), both) {
		t.Errorf("%v", err)
	}
	if left := append(parts(t, dir, "part"), parts(t, dir, "json")...); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

// Nothing that was asked for over https comes over http, and a certificate that nobody
// signed is not tried again.
func TestHTTPSStays(t *testing.T) {
	plain := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) { whole(w, r, content(1), "") })
	asked := 0
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, plain.URL, http.StatusFound)
	}))
	defer secure.Close()
	b, _ := build()
	store := quick(t.TempDir())
	_, err := store.Fetch(t.Context(), b, kiln.Remote{URL: secure.URL, Checksum: sha(content(1))})
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v", err)
	}
	store.client.Transport = secure.Client().Transport
	_, err = store.Fetch(t.Context(), b, kiln.Remote{URL: secure.URL, Checksum: sha(content(1))})
	if err == nil || !strings.Contains(err.Error(), "redirected from https to http://") || asked != 1 ||
		len(plain.requests()) != 0 {
		t.Errorf("%v after %d requests, and %v", err, asked, plain.requests())
	}
}

// A file without a checksum is taken again as long as the server says it is the same.
func TestUnchecked(t *testing.T) {
	text, etag := content(1), `"a"`
	s := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 3 {
			cut(w, text, etag, 1<<20)
		}
		whole(w, r, text, etag)
	})
	dir := t.TempDir()
	b, _ := build()
	fetch := func() {
		t.Helper()
		path, err := quick(dir).Fetch(t.Context(), b, kiln.Remote{URL: s.URL + "/f?x", Checksum: "none", Unchecked: true})
		if err != nil {
			t.Fatal(err)
		}
		holds(t, path, text)
		if left := parts(t, dir, "part"); len(left) != 0 {
			t.Errorf("left %v", left)
		}
	}
	fetch()
	fetch()
	text, etag = content(2), `"b"`
	fetch()
	if asked := strings.Join(s.requests(), ","); asked != ",,,bytes=1048576-" {
		t.Errorf("asked for %q", asked)
	}
}

// partSize is how much is there of what is being loaded.
func partSize(t *testing.T, dir string) int64 {
	for _, path := range parts(t, dir, "part") {
		if info, err := os.Stat(path); err == nil {
			return info.Size()
		}
	}
	return 0
}

func TestCancelled(t *testing.T) {
	text := content(1)
	reached := make(chan bool, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 {
			begin(w, text, `"a"`, 1<<20)
			reached <- true
			<-r.Context().Done()
			return
		}
		whole(w, r, text, `"a"`)
	})
	dir := t.TempDir()
	b, events := build()
	remote := kiln.Remote{URL: s.URL + "/f", Checksum: sha(text)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	store := at(dir)
	go func() {
		_, err := store.Fetch(ctx, b, remote)
		ended <- err
	}()
	<-reached
	// Somebody who waits for it can be cancelled too.
	waiting, stop := context.WithCancel(t.Context())
	go func() {
		until(func() bool { return strings.Contains(fmt.Sprint(events()), "Waiting for another download of f...") })
		stop()
	}()
	if _, err := store.Fetch(waiting, b, remote); !errors.Is(err, context.Canceled) {
		t.Errorf("the one that waits: %v", err)
	}
	until(func() bool { return partSize(t, dir) > 0 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	path, err := store.Fetch(t.Context(), b, remote)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, path, text)
	if asked := s.requests(); len(asked) != 2 || asked[1] == "" {
		t.Errorf("asked for %q", asked)
	}
}

// A connection that brings nothing any more is given up, and the rest is loaded by another.
func TestStalls(t *testing.T) {
	text := content(1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 {
			stall(w, r, text, 1<<20)
			return
		}
		whole(w, r, text, `"a"`)
	})
	store := quick(t.TempDir())
	// A machine that is slow enough stalls by itself.
	store.stall, store.tries = 300*time.Millisecond, 100
	b, _ := build()
	path, err := store.Fetch(t.Context(), b, kiln.Remote{URL: s.URL, Checksum: sha(text)})
	if err != nil {
		t.Fatal(err)
	}
	holds(t, path, text)
	if n := len(s.requests()); n < 2 {
		t.Errorf("%d requests", n)
	}
}

// A waiter gets what the first one loaded.
func TestSideBySide(t *testing.T) {
	text := content(1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		time.Sleep(50 * time.Millisecond)
		whole(w, r, text, "")
	})
	store := quick(t.TempDir())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			b, _ := build()
			if _, err := store.Fetch(t.Context(), b, kiln.Remote{URL: s.URL, Checksum: sha(text)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(s.requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// Parts that nobody has come back for go.
func TestOldPartsGo(t *testing.T) {
	text := content(1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if strings.HasSuffix(r.URL.Path, "cut") {
			cut(w, text, "", 1000)
		}
		whole(w, r, text, "")
	})
	dir := t.TempDir()
	store := quick(dir)
	store.tries = 1
	b, _ := build()
	if _, err := store.Fetch(t.Context(), b, kiln.Remote{URL: s.URL + "/cut", Checksum: sha(content(2))}); err == nil {
		t.Fatal("a part was taken")
	}
	left := append(parts(t, dir, "part"), parts(t, dir, "json")...)
	if len(left) != 2 {
		t.Fatalf("left %v", left)
	}
	for _, path := range left {
		old := time.Now().Add(-8 * 24 * time.Hour)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.Fetch(t.Context(), b, kiln.Remote{URL: s.URL, Checksum: sha(text)}); err != nil {
		t.Fatal(err)
	}
	if left := append(parts(t, dir, "part"), parts(t, dir, "json")...); len(left) != 1 {
		t.Errorf("left %v", left)
	}
}

// What an address holds beside host and path may be a secret.
func TestSecretsInAddresses(t *testing.T) {
	text := content(1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if _, password, _ := r.BasicAuth(); password != "hush" || r.URL.Query().Get("token") != "hush2" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if n == 1 {
			cut(w, text, "", 1000)
		}
		w.WriteHeader(http.StatusNotFound)
	})
	dir := t.TempDir()
	store := quick(dir)
	b, events := build()
	address := strings.Replace(s.URL, "http://", "http://user:hush@", 1) + "/f?token=hush2"
	_, err := store.Fetch(t.Context(), b, kiln.Remote{URL: address, Unchecked: true})
	told := fmt.Sprint(err, events())
	for _, path := range parts(t, dir, "*") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		told += path + string(text)
	}
	if err == nil || !errors.Is(err, kiln.ErrNotFound) || strings.Contains(told, "hush") {
		t.Errorf("%v; told: %.2000s", err, told)
	}
}

func TestLocal(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	text := []byte("content\n")
	if err := os.WriteFile("a file", text, 0o644); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes("a file", old, old); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "a file")
	store := quick(t.TempDir())
	b, events := build()
	for _, url := range []string{
		"a file", "./a file", path, "file:" + path, "file://" + path, "file://./a%20file", "FILE://localhost" + path,
	} {
		got, err := store.Fetch(t.Context(), b, kiln.Remote{URL: url, Checksum: sha(text)})
		if err != nil || got != path {
			t.Errorf("%s: %s, %v", url, got, err)
		}
	}
	if n := len(events()); n != 1 {
		t.Errorf("the file was read %d times", n)
	}
	if err := os.WriteFile("a file", []byte("CONTENT\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := store.Fetch(t.Context(), b, kiln.Remote{URL: path, Checksum: sha(text)})
	if err == nil || !strings.Contains(err.Error(), "checksums did not match") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("a file that is not ours was removed: %v", err)
	}
	if _, err := store.Fetch(t.Context(), b, kiln.Remote{URL: "none", Unchecked: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestRefused(t *testing.T) {
	sum := strings.Repeat("0", 64)
	for _, c := range []struct {
		r    kiln.Remote
		want string
	}{
		{kiln.Remote{URL: "http://x/y"}, "a checksum must be specified"},
		{kiln.Remote{URL: "http://x/y", Checksum: "none"}, "a checksum must be specified"},
		{kiln.Remote{URL: "http://x/y", Checksum: "sha384:00"}, "unsupported checksum type: sha384"},
		{kiln.Remote{URL: "http://x/y", Checksum: "file:ftp://x/SUMS"}, "checksum file: there are no downloads by ftp"},
		{kiln.Remote{URL: "http://x/y", Checksum: "sha256:zz"}, "invalid checksum: encoding/hex"},
		{kiln.Remote{URL: "http://x/y", Checksum: "md5:" + sum}, "64 hexadecimal digits"},
		{kiln.Remote{URL: "http://x/y", Checksum: "abcdef"}, "6 hexadecimal digits"},
		{kiln.Remote{URL: "", Checksum: sum}, "no address"},
		{kiln.Remote{URL: "ftp://x/y", Checksum: sum}, "downloads by ftp"},
		{kiln.Remote{URL: "svn::https://u:hush@x/y?hush", Checksum: sum}, "svn::https://...@x/y: there are no downloads by svn"},
		{kiln.Remote{URL: "s3::ftp://x/y", Checksum: sum}, "downloads by s3 are by http or https"},
		{kiln.Remote{URL: "gcs::https://x/y", Checksum: sum}, "is not the address of an object"},
		{kiln.Remote{URL: "git::https://x", Checksum: sum}, "names no file"},
		{kiln.Remote{URL: "smb://x/y", Checksum: sum}, "is not the address of a file"},
		{kiln.Remote{URL: "git::https://x/y/z?ref=-x", Checksum: sum}, "begins with a dash"},
		{kiln.Remote{URL: "http:///y", Checksum: sum}, "names no host"},
		{kiln.Remote{URL: "http://u:hush@[/y", Checksum: sum}, "invalid address"},
		{kiln.Remote{URL: "file://server/y", Checksum: sum}, "on another machine"},
		{kiln.Remote{URL: "http://x/y", Checksum: sum, Extension: "/../z"}, "not the end of a file's name"},
		{kiln.Remote{URL: ".", Checksum: sum}, "is a folder"},
	} {
		b, _ := build()
		_, err := at(t.TempDir()).Fetch(t.Context(), b, c.r)
		if !errors.Is(err, kiln.ErrInvalid) || !strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "hush") {
			t.Errorf("%+v: %v", c.r, err)
		}
	}
}

func TestSums(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) { io.WriteString(w, "abc") })
	for _, sum := range []string{
		"md5:900150983CD24FB0D6963F7D28E17F72", "900150983cd24fb0d6963f7d28e17f72",
		"SHA1:a9993e364706816aba3e25717850c26c9cd0d89d",
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
			"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
	} {
		b, _ := build()
		path, err := at(t.TempDir()).Fetch(t.Context(), b, kiln.Remote{URL: s.URL, Checksum: sum})
		if err != nil {
			t.Errorf("%s: %v", sum, err)
			continue
		}
		holds(t, path, []byte("abc"))
	}
}
