package plugin

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"kiln"
	"kiln/internal/journal"
)

// fake is a program that describes itself as a plugin.
func fake(version, api string) []byte {
	return fmt.Appendf(nil, "#!/bin/sh\n[ \"$1\" = describe ] || exit 1\n"+
		"echo '{\"version\":%q,\"sdk_version\":\"0.6.0\",\"api_version\":%q,\"builders\":[\"x\"],\"protocol_version\":\"v2\"}'\n", version, api)
}

// otherSum is of the archive for another system.
const otherSum = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func zipped(t *testing.T, name string, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(text)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// releases are the files of a release server and of GitHub, by path.
func releases(t *testing.T, versions ...string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	system := runtime.GOOS + "_" + runtime.GOARCH
	index, refs := "", ""
	for _, v := range versions {
		says := strings.TrimSuffix(v, "+lies")
		v, lies := says, says != v
		if lies {
			says = "9.9.9"
		}
		z := zipped(t, "packer-plugin-foo_v"+v+"_x5.0_"+system, fake(says, "x5.0"))
		digest := sha256.Sum256(z)
		sum := hex.EncodeToString(digest[:])
		base := "/packer-plugin-foo/" + v + "/packer-plugin-foo_" + v + "_"
		files[base+system+".zip"] = z
		files[base+"SHA256SUMS"] = fmt.Appendf(nil,
			"%s  packer-plugin-foo_%s_%s.zip\n%s  packer-plugin-foo_%s_manifest.json\n"+
				"%[6]s  packer-plugin-foo_%[2]s_plan9_arm64.zip\n", sum, v, system, sum, v, otherSum)
		files[base+"manifest.json"] = []byte(`{"version":1,"metadata":{"protocol_version":"5.0"}}`)
		hub := "/acme/packer-plugin-foo/releases/download/v" + v + "/packer-plugin-foo_v" + v
		files[hub+"_x5.0_"+system+".zip"] = z
		files[hub+"_SHA256SUMS"] = fmt.Appendf(nil, "%s  packer-plugin-foo_v%s_x5.0_%s.zip\n", sum, v, system)
		index += fmt.Sprintf(",%q:{}", v)
		refs += fmt.Sprintf(`,{"ref":"refs/tags/v%s"}`, v)
	}
	files["/packer-plugin-foo/index.json"] = []byte(`{"versions":{` + strings.TrimPrefix(index, ",") + `}}`)
	files["/repos/acme/packer-plugin-foo/git/matching-refs/tags"] = []byte("[" + strings.TrimPrefix(refs, ",") +
		"]")
	return files
}

func serve(t *testing.T, files map[string][]byte) Remote {
	t.Helper()
	server := func(want string) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != want {
				http.Error(w, "the token goes to the API and nowhere else", http.StatusForbidden)
			} else if text, ok := files[r.URL.Path]; ok {
				w.Write(text)
			} else {
				http.NotFound(w, r)
			}
		}))
		t.Cleanup(s.Close)
		return s
	}
	plain := server("")
	return Remote{Releases: plain.URL, API: server("Bearer hush").URL + "/", GitHub: plain.URL, Token: "hush"}
}

func TestInstall(t *testing.T) {
	for _, c := range []struct {
		name, source, constraint, pin string
		versions                      []string
		want, problem                 string
	}{
		{"newest", "github.com/hashicorp/foo", "", "", []string{"1.0.0", "1.2.0", "1.10.0"}, "1.10.0", ""},
		{"constraint", "github.com/hashicorp/foo", "~> 1.2", "", []string{"1.0.0", "1.2.0", "2.0.0"}, "1.2.0", ""},
		{"from GitHub", "github.com/acme/foo", ">= 1", "", []string{"1.0.0", "1.2.0"}, "1.2.0", ""},
		{"pinned", "github.com/hashicorp/foo", "", "1.0.0", []string{"1.0.0", "1.2.0"}, "1.0.0", ""},
		{"pin that is gone", "github.com/hashicorp/foo", "", "0.9.0", []string{"1.0.0"}, "",
			"which the lock file asks for"},
		{"none fits", "github.com/hashicorp/foo", "> 3", "", []string{"1.0.0"}, "",
			"no release of github.com/hashicorp/foo meets > 3"},
		{"no pre-releases", "github.com/hashicorp/foo", "", "", []string{"1.0.0", "1.1.0-beta1"}, "1.0.0", ""},
		{"one that lies is passed over", "github.com/hashicorp/foo", "", "", []string{"1.0.0", "1.1.0+lies"},
			"1.0.0", ""},
		{"another host", "example.com/acme/foo", "", "", nil, "", "only plugins of github.com can be fetched"},
		{"unknown", "github.com/acme/bar", "", "", []string{"1.0.0"}, "", "not found"},
	} {
		dir := t.TempDir()
		r := serve(t, releases(t, c.versions...))
		if c.pin != "" {
			r.Pin = func(string) *Pin { return &Pin{Version: c.pin} }
		}
		got, err := r.Install(t.Context(), dir, Requirement{Source: c.source, Constraint: c.constraint})
		if c.problem != "" {
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%s: %v", c.name, err)
			}
			if all, _ := Installed(t.Context(), dir, Options{}); len(all) > 0 {
				t.Errorf("%s: something was installed", c.name)
			}
			continue
		}
		if err != nil || got.Version != c.want {
			t.Errorf("%s: %+v, %v", c.name, got, err)
			continue
		}
		all, err := Installed(t.Context(), dir, Options{Releases: true})
		if err != nil || len(all) != 1 || all[0].Path != got.Path || all[0].Source != c.source ||
			c.pin == "" && got.Zips[System] == "" || got.Binaries[System] != all[0].Sum {
			t.Errorf("%s: installed %+v, %v; fetched %+v", c.name, all, err, got)
		}
	}
}

func TestTampered(t *testing.T) {
	files := releases(t, "1.0.0", "1.1.0")
	for name := range files {
		if strings.Contains(name, "1.1.0") && strings.HasSuffix(name, ".zip") {
			files[name] = append([]byte("x"), files[name]...)
		}
	}
	_, err := serve(t, files).Install(t.Context(), t.TempDir(), Requirement{Source: "github.com/hashicorp/foo"})
	if !errors.Is(err, errDigest) {
		t.Errorf("an archive that was changed: %v", err)
	}
	// What is not the locked one, on this system or another, is not installed.
	for name, pin := range map[string]*Pin{
		"this system":    {Version: "1.0.0", Zips: map[string]string{System: strings.Repeat("0", 64)}},
		"another system": {Version: "1.0.0", Zips: map[string]string{"plan9_arm64": strings.Repeat("0", 64)}},
		"the binary":     {Version: "1.0.0", Binaries: map[string]string{System: strings.Repeat("0", 64)}},
	} {
		r, dir := serve(t, releases(t, "1.0.0")), t.TempDir()
		r.Pin = func(string) *Pin { return pin }
		_, err := r.Install(t.Context(), dir, Requirement{Source: "github.com/hashicorp/foo"})
		if !errors.Is(err, errDigest) || !strings.Contains(err.Error(), "the lock file says") {
			t.Errorf("%s: an archive that is not the locked one: %v", name, err)
		}
		if all, _ := Installed(t.Context(), dir, Options{}); len(all) > 0 {
			t.Errorf("%s: it was installed", name)
		}
	}
}

// The lock holds all systems of the release, and what is not in it is not added without
// being asked for.
func TestLockHoldsAllSystems(t *testing.T) {
	want := Requirement{Source: "github.com/hashicorp/foo"}
	r, dir := serve(t, releases(t, "1.0.0")), t.TempDir()
	got, err := r.Install(t.Context(), dir, want)
	if err != nil || got.Zips["plan9_arm64"] != otherSum || got.Zips[System] == "" || len(got.Zips) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	zips, err := r.Zips(t.Context(), want, "1.0.0")
	if err != nil || !maps.Equal(zips, got.Zips) {
		t.Errorf("without a download: %v, %v", zips, err)
	}
	pin := &Pin{Version: "1.0.0", Zips: map[string]string{System: got.Zips[System]}}
	r.Pin = func(string) *Pin { return pin }
	if got, err = r.Install(t.Context(), t.TempDir(), want); err != nil || len(got.Zips) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	other := &Pin{Version: "1.0.0", Zips: map[string]string{"plan9_arm64": otherSum}}
	if err := other.Check("x/y/z"); err == nil || !strings.Contains(err.Error(), "no checksum of it for "+System) {
		t.Errorf("a lock without this system: %v", err)
	}
	if err := errors.Join(pin.Check("x/y/z"), (*Pin)(nil).Check("x/y/z")); err != nil {
		t.Error(err)
	}
}

// Of several archives for one system the one is taken that can be spoken to.
func TestArchives(t *testing.T) {
	sums := map[string]string{"p_v1_x4.9_linux_amd64.zip": "a", "p_v1_x5.0_linux_amd64.zip": "b",
		"p_v1_x5.9_linux_amd64.zip": "c", "p_v1_x6.0_darwin_arm64.zip": "d", "p_v1_windows_amd64.zip": "e",
		"p_v1_source.zip": "f", "q_v1_x5.0_linux_arm64.zip": "g", "p_v1_x5.0_linux_amd64.tar": "h"}
	want := map[string]string{"linux_amd64": "p_v1_x5.0_linux_amd64.zip", "darwin_arm64": "p_v1_x6.0_darwin_arm64.zip",
		"windows_amd64": "p_v1_windows_amd64.zip"}
	if got := archives(sums, "p_v1_"); !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// A server cannot send us to a file of this machine, nor from https to http.
func TestRedirects(t *testing.T) {
	files := releases(t, "1.0.0")
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(files[r.URL.Path]) }))
	defer plain.Close()
	root := t.TempDir()
	for name, text := range files {
		os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755)
		os.WriteFile(filepath.Join(root, name), text, 0o644)
	}
	to := func(base string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", base+r.URL.Path)
			w.WriteHeader(http.StatusFound)
		})
	}
	trusted := client
	defer func() { client = trusted }()
	for _, c := range []struct {
		name, to, problem string
		secure            bool
	}{
		{"http to file", "file://" + root, "sends us from http to file://", false},
		{"https to file", "file://" + root, "sends us from https to file://", true},
		{"https to http", plain.URL, "sends us from https to http://", true},
		{"http to http", plain.URL, "", false},
	} {
		s := httptest.NewUnstartedServer(to(c.to))
		if c.secure {
			s.StartTLS()
			client = newClient()
			client.Transport.(*http.Transport).TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig
		} else {
			s.Start()
			client = newClient()
		}
		_, err := Remote{Releases: s.URL, API: s.URL, GitHub: s.URL}.Install(t.Context(), t.TempDir(),
			Requirement{Source: "github.com/hashicorp/foo"})
		if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: %v", c.name, err)
		}
		s.Close()
	}
}

// What a kill leaves while a plugin is installed is owned, and nothing is when it is done.
func TestInstallIsOwned(t *testing.T) {
	bin, dir, journals := filepath.Join(t.TempDir(), "built"), t.TempDir(), t.TempDir()
	if err := os.WriteFile(bin, fake("1.0.0", "x5.0"), 0o755); err != nil {
		t.Fatal(err)
	}
	j := &recorded{Journal: journal.New(journals, "r", "")}
	path, err := InstallLocal(t.Context(), j, dir, "any.host/acme/foo", bin)
	if err != nil {
		t.Fatal(err)
	}
	if left := j.Open(); len(left) > 0 {
		t.Errorf("still owned: %v", left)
	}
	for _, name := range j.owned {
		if !strings.HasPrefix(filepath.Base(name), ".part-") && name != path+"_SHA256SUM" {
			t.Errorf("owned: %s", name)
		}
	}
	if found, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(found) != 2 || len(j.owned) != 3 {
		t.Errorf("%v; owned %v", found, j.owned)
	}
}

// recorded remembers all that was ever owned.
type recorded struct {
	*journal.Journal
	owned []string
}

func (r *recorded) Own(build string, res kiln.Resource) error {
	r.owned = append(r.owned, res.ID)
	return r.Journal.Own(build, res)
}

func TestMirror(t *testing.T) {
	dir := t.TempDir()
	for name, text := range releases(t, "1.0.0") {
		path := filepath.Join(dir, "example.com/acme", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := (Remote{Mirror: dir}).Install(t.Context(), t.TempDir(),
		Requirement{Source: "example.com/acme/foo"}); err != nil {
		t.Error(err)
	}
}

func TestLocalAndRemove(t *testing.T) {
	dir, bin := t.TempDir(), filepath.Join(t.TempDir(), "built")
	for _, c := range []struct{ version, problem string }{{"1.0.0", ""}, {"1.1.0-dev", ""},
		{"1.2.0-dev+meta", ""}, {"2.0.0-beta", "pre-release"}} {
		if err := os.WriteFile(bin, fake(c.version, "x5.0"), 0o755); err != nil {
			t.Fatal(err)
		}
		path, err := InstallLocal(t.Context(), nil, dir, "any.host/acme/foo", bin)
		if c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)) || c.problem == "" &&
			(err != nil || strings.Contains(path, "meta")) {
			t.Errorf("%s: %s, %v", c.version, path, err)
		}
	}
	all, err := Installed(t.Context(), dir, Options{})
	if err != nil || len(all) != 3 {
		t.Fatalf("%+v, %v", all, err)
	}
	r := Requirement{Source: "any.host/acme/foo", Constraint: ">= 1.1"}
	if m := Matching(all, r); len(m) != 2 || m[0].Version.String() != "1.2.0-dev" {
		t.Errorf("matching %+v", m)
	}
	if only, _ := Installed(t.Context(), dir, Options{Releases: true}); len(only) != 1 {
		t.Errorf("releases %+v", only)
	}
	// What is not valid counts for nothing.
	good := all[0].Path
	for name, spoil := range map[string]func(){
		"another checksum": func() { os.WriteFile(good+"_SHA256SUM", []byte("00"), 0o644) },
		"no checksum":      func() { os.Remove(good + "_SHA256SUM") },
	} {
		spoil()
		if now, _ := Installed(t.Context(), dir, Options{}); slices.ContainsFunc(now,
			func(p Plugin) bool { return p.Path == good }) {
			t.Errorf("%s: it still counts", name)
		}
	}
	if err := Remove(all[1].Path); err != nil {
		t.Error(err)
	}
	if _, err := InstallLocal(t.Context(), nil, dir, "any.host/acme/foo", "/bin/true"); err == nil ||
		!strings.Contains(err.Error(), "not a plugin") {
		t.Errorf("a program that is no plugin: %v", err)
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), LockName)
	l, err := ReadLock(path)
	if err != nil {
		t.Fatal(err)
	}
	l.Set(Requirement{Source: "github.com/a/b", Constraint: "~> 1"},
		&Pin{Version: "1.0.0", Zips: map[string]string{"linux_amd64": "ab", "darwin_arm64": "cd"},
			Binaries: map[string]string{"linux_amd64": "ef"}})
	l.Set(Requirement{Source: "github.com/a/a"}, &Pin{Version: "2.0.0"})
	if err := l.Write(nil, path); err != nil {
		t.Fatal(err)
	}
	back, err := ReadLock(path)
	if err != nil {
		t.Fatal(err)
	}
	pin := back.Pin("github.com/a/b")
	if pin.Version != "1.0.0" || pin.Zips["darwin_arm64"] != "cd" || pin.Binaries["linux_amd64"] != "ef" ||
		back.Pin("github.com/a/c") != nil || back.Plugins[0].Source != "github.com/a/a" {
		t.Errorf("%+v", back)
	}
	os.WriteFile(path, []byte("plugin {"), 0o644)
	if _, err := ReadLock(path); err == nil {
		t.Error("a broken lock file is read")
	}
}

func TestDir(t *testing.T) {
	home := t.TempDir()
	dot := t.TempDir()
	os.Mkdir(filepath.Join(dot, ".packer.d"), 0o755)
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"PACKER_PLUGIN_PATH": "/p", "HOME": home}, "/p"},
		{map[string]string{"PACKER_PLUGIN_PATH": "/p:/q"}, "!one folder"},
		{map[string]string{"PACKER_CONFIG_DIR": "/c"}, "/c/.packer.d/plugins"},
		{map[string]string{"HOME": dot}, dot + "/.packer.d/plugins"},
		{map[string]string{"HOME": home, "XDG_CONFIG_HOME": "/x"}, "/x/packer/plugins"},
		{map[string]string{"HOME": home}, home + "/.config/packer/plugins"},
		{nil, "!no folder"},
	} {
		got, err := Dir(func(k string) string { return c.env[k] })
		if want, bad := strings.CutPrefix(c.want, "!"); bad &&
			(err == nil || !strings.Contains(err.Error(), want)) || !bad && got != c.want {
			t.Errorf("%v: %s, %v", c.env, got, err)
		}
	}
}

func TestParseSource(t *testing.T) {
	for s, want := range map[string]string{
		"github.com/a/b": "", "example.com:8080/a/b/c": "", "github.com/a": "invalid plugin address",
		"https://github.com/a/b": "no scheme", "github.com/a/packer-plugin-b": "without the prefix",
		"github.com/../b": "invalid plugin address", "": "invalid plugin address",
		"github.com/a/b/": "invalid plugin address", "/a/b/c": "invalid plugin address",
	} {
		if err := ParseSource(s); (err == nil) != (want == "") || err != nil &&
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// The address of a mirror may hold a password, which no message shows.
func TestMirrorsPassword(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "none") {
			http.NotFound(w, r)
			return
		}
		http.Error(w, "not today", http.StatusTeapot)
	}))
	defer server.Close()
	mirror := Remote{Mirror: strings.Replace(server.URL, "http://", "http://me:hush@", 1)}
	for _, source := range []string{"github.com/acme/none", "github.com/acme/foo"} {
		_, err := mirror.Install(t.Context(), t.TempDir(), Requirement{Source: source})
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", source, err)
		}
	}
}
