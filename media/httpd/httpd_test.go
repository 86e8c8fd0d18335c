package httpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kiln"
	"kiln/driver/local"
	"kiln/kilntest"
)

// get loads a path as a guest does, without cleaning it first.
func get(t *testing.T, port int, method, path string) (status int, header http.Header, body string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), method, fmt.Sprintf("http://127.0.0.1:%d/", port), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Opaque = path
	resp, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return 0, nil, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

// start starts a server that is ended with the test.
func start(t *testing.T, c Config) (b *kiln.Build, r *kilntest.Recorder, port int) {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	b, r = kilntest.NewBuild(t)
	port, err := c.Start(t.Context(), b, "10.0.2.2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b, r, port
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "outside"), "of it")
	put(t, filepath.Join(dir, "http", "preseed.cfg"), "d-i")
	put(t, filepath.Join(dir, "http", "www", "index.html"), "<p>page")
	put(t, filepath.Join(dir, "http", "sub", "a b.txt"), "0123456789")
	if err := os.Symlink("../outside", filepath.Join(dir, "http", "led")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	b, r, port := start(t, Config{Directory: "http"})
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/preseed.cfg", 200, "d-i"},
		{"/sub/a%20b.txt", 200, "0123456789"},
		{"/www/", 200, "<p>page"},
		{"/sub/", 200, "a b.txt"},
		{"/led", 200, "of it"},
		{"/../outside", 404, ""},
		{"/sub/../../outside", 404, ""},
		{"/..%2foutside", 404, ""},
		{"/%2e%2e/outside", 404, ""},
		{"/none", 404, ""},
	} {
		status, _, body := get(t, port, "GET", c.path)
		if status != c.status || !strings.Contains(body, c.body) {
			t.Errorf("%s is %d %q", c.path, status, body)
		}
	}
	if kind := r.Texts(kiln.EventSay); !slices.Contains(kind, fmt.Sprintf("Starting HTTP server on port %d", port)) {
		t.Errorf("it said %q", kind)
	}
	vars := b.GuestVars(nil)
	for name, want := range map[string]string{
		"PACKER_HTTP_IP": "10.0.2.2", "PACKER_HTTP_PORT": strconv.Itoa(port),
		"PACKER_HTTP_ADDR": "10.0.2.2:" + strconv.Itoa(port),
	} {
		if vars[name] != want {
			t.Errorf("%s is %q, want %q", name, vars[name], want)
		}
	}
}

func TestTexts(t *testing.T) {
	_, _, port := start(t, Config{Content: map[string]string{
		"/ks.cfg": "text", "/a/../b/page.html": "<p>", "/empty": "", "/user-data": "#cloud-config",
	}})
	for _, c := range []struct {
		method, path string
		status       int
		kind, body   string
	}{
		{"GET", "/ks.cfg", 200, "", "text"},
		{"POST", "/ks.cfg", 200, "", "text"},
		{"GET", "//./ks.cfg", 200, "", "text"},
		{"GET", "/b/page.html", 200, "text/html", "<p>"},
		{"GET", "/empty", 200, "", ""},
		{"GET", "/ks.cf", 404, "", `/ks.cf not found. Did you mean "/ks.cfg"?`},
		{"GET", "/userdata", 404, "", `Did you mean "/user-data"?`},
		{"GET", "/something/else", 404, "", "/something/else not found.\n"},
		{"GET", "/", 404, "", "/ not found."},
	} {
		status, header, body := get(t, port, c.method, c.path)
		kind := header.Get("Content-Type")
		if status != c.status || !strings.HasPrefix(kind, c.kind) || !strings.Contains(body, c.body) {
			t.Errorf("%s %s is %d %s %q", c.method, c.path, status, kind, body)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"/ks", "/ks", 0}, {"ab", "ba", 2}} {
		if got := distance(c.a, c.b); got != c.want || distance(c.b, c.a) != c.want {
			t.Errorf("%q and %q are %d apart, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestNothingWanted(t *testing.T) {
	b, r, port := start(t, Config{})
	if port != 0 || r.Owns() != 0 || b.Data()["PackerHTTPPort"] != "0" || b.Data()["PackerHTTPIP"] != "10.0.2.2" {
		t.Errorf("port %d, %v", port, b.Data())
	}
}

func TestValidate(t *testing.T) {
	texts := map[string]string{"/a": ""}
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Directory: "x", Content: texts}, "http_content cannot be used in conjunction with http_dir. Consider"},
		{Config{Content: map[string]string{"a": ""}}, "must begin with /"},
		{Config{PortMin: 9001}, "http_port_min must be less than http_port_max"},
		{Config{PortMin: 10, PortMax: 9}, "http_port_min must be less than http_port_max"},
		{Config{PortMin: 1, PortMax: 70000}, "http_port_max must be a port"},
		{Config{PortMin: -1}, "http_port_min must be a port"},
		{Config{Interface: "eth0", BindAddress: "::"}, "either http_interface or http_bind_address can be specified"},
		{Config{NetworkProtocol: "udp"},
			"http_network_protocol is invalid. Must be one of: [tcp tcp4 tcp6 unix unixpacket]"},
		{Config{NetworkProtocol: "unix", Content: texts}, "use tcp, tcp4 or tcp6"},
		{Config{PortMin: 7000, PortMax: 7000, Interface: "eth0", NetworkProtocol: "tcp4"}, ""},
		{Config{Directory: "does-not-exist-yet"}, ""},
	} {
		err := c.config.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: %v, want %q", c.config, err, c.want)
		}
	}
}

func TestCannotStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	put(t, file, "")
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Directory: "missing"}, `Error finding "missing": `},
		{Config{Directory: file}, "it is not a folder"},
		{Config{Directory: ".", BindAddress: "192.0.2.1"}, "Error finding port: listen tcp 192.0.2.1:"},
		{Config{Directory: ".", BindAddress: "127.0.0.1", NetworkProtocol: "tcp6"}, "Error finding port: "},
	} {
		b, r := kilntest.NewBuild(t)
		_, err := c.config.Start(t.Context(), b, "10.0.2.2")
		if err == nil || !strings.Contains(err.Error(), c.want) || len(r.Balance()) != 0 {
			t.Errorf("%v: %v, want %q; left %v", c.config, err, c.want, r.Balance())
		}
	}
}

// here is the configuration of a server on this machine alone, with ports that the test
// found free.
func here(low, high int) Config {
	return Config{Content: map[string]string{"/a": "b"}, BindAddress: "127.0.0.1", PortMin: low, PortMax: high}
}

// taken takes a port of this machine.
func taken(t *testing.T) (net.Listener, int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, l.Addr().(*net.TCPAddr).Port
}

// Builds side by side never have one port, and those that find none wait for one.
func TestSideBySide(t *testing.T) {
	var starting sync.WaitGroup
	var mu sync.Mutex
	seen, now := map[int]bool{}, 0
	low := 0
	for { // five ports that are free together
		l, port := taken(t)
		l.Close()
		if port < 65000 {
			low = port
			break
		}
	}
	builds := make([]*kiln.Build, 12)
	for i := range builds {
		builds[i], _ = kilntest.NewBuild(t)
	}
	for _, b := range builds {
		starting.Go(func() {
			c := here(low, low+4)
			port, err := c.Start(t.Context(), b, "10.0.2.2")
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			if seen[port] {
				t.Errorf("two builds have port %d", port)
			}
			seen[port] = true
			now = max(now, len(seen))
			mu.Unlock()
			if status, _, body := get(t, port, "GET", "/a"); status != 200 || body != "b" {
				t.Errorf("it serves %d %q", status, body)
			}
			mu.Lock()
			delete(seen, port)
			mu.Unlock()
			if err := b.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	starting.Wait()
	if now == 0 {
		t.Error("no build had a port")
	}
}

func TestWaitsForAPort(t *testing.T) {
	l, port := taken(t)
	c := here(port, port)
	b, r := kilntest.NewBuild(t)
	want := fmt.Sprintf("all ports from %d to %d on 127.0.0.1 are taken, and none", port, port)
	if _, err := c.listen(t.Context(), b, 50*time.Millisecond); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("it ended with %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := c.Start(ctx, b, "10.0.2.2")
		ended <- err
	}()
	kilntest.Eventually(t, "it says that it waits", func() bool { return len(r.Texts(kiln.EventSay)) == 2 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || len(r.Balance()) != 0 {
		t.Errorf("it ended with %v and left %v", err, r.Balance())
	}
	go func() {
		_, err := c.Start(t.Context(), b, "10.0.2.2")
		ended <- err
	}()
	kilntest.Eventually(t, "it says that it waits", func() bool { return len(r.Texts(kiln.EventSay)) == 3 })
	l.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// The server ends with the build, whoever is still connected.
func TestEndsWithTheBuild(t *testing.T) {
	text := kiln.RandomName(20)
	b, r, port := start(t, Config{Content: map[string]string{"/a": text}})
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /a HTTP/1.1\r\n") // it goes on later
	open := r.Balance()
	if len(open) != 1 || open[0].Kind != kiln.KindServer {
		t.Fatalf("the journal has %v", open)
	}
	// After a crash it has ended with its process, which a clean-up knows.
	if err := (local.Reaper{}).Reap(t.Context(), open[0]); err != nil {
		t.Error(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(conn); err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
	if resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/a", port)); err == nil { // it may be another's by now
		if got, _ := io.ReadAll(resp.Body); string(got) == text {
			t.Error("it serves still")
		}
		resp.Body.Close()
	}
	if open = r.Balance(); len(open) != 0 {
		t.Errorf("the journal still has %v", open)
	}
}

// The same build begins to search at the same port, so that what is told the port is the
// same too.
func TestFirst(t *testing.T) {
	b := &kiln.Build{Dir: "/a", Name: "b"}
	if first(b) != first(&kiln.Build{Dir: "/a", Name: "b"}) || first(b) == first(&kiln.Build{Dir: "/a", Name: "c"}) ||
		first(b) < 0 {
		t.Errorf("it begins at %d", first(b))
	}
}
