package download

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"kiln"
)

// pack packs a text in one of the ways that need no program.
func pack(t *testing.T, kind string, text []byte, names ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch kind {
	case "gz":
		w = gzip.NewWriter(&out)
	case "xz":
		w, err = xz.NewWriter(&out)
	case "zst":
		w, err = zstd.NewWriter(&out)
	case "tar":
		tw := tar.NewWriter(&out)
		err = tw.WriteHeader(&tar.Header{Name: "dir/", Typeflag: tar.TypeDir, Mode: 0o755})
		for _, name := range names {
			if err == nil {
				err = tw.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o644})
			}
			if err == nil {
				_, err = tw.Write(text)
			}
		}
		if err == nil {
			err = tw.Close()
		}
	case "zip":
		zw := zip.NewWriter(&out)
		for _, name := range names {
			if entry, zipErr := zw.Create(name); zipErr == nil {
				_, err = entry.Write(text)
			}
		}
		if err == nil {
			err = zw.Close()
		}
	}
	if err == nil && w != nil {
		if _, err = w.Write(text); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestPacked(t *testing.T) {
	text := little(1)
	files := map[string][]byte{
		"/x.iso.gz": pack(t, "gz", text), "/x.xz": pack(t, "xz", text), "/x.ZST": pack(t, "zst", text),
		"/x.tar": pack(t, "tar", text, "dir/x.iso"), "/x.tgz": pack(t, "gz", pack(t, "tar", text, "x.iso")),
		"/x.tar.zst": pack(t, "zst", pack(t, "tar", text, "x.iso")), "/x.zip": pack(t, "zip", text, "x.iso"),
		"/two.zip": pack(t, "zip", text, "a", "b"), "/two.tar": pack(t, "tar", text, "a", "b"),
		"/no.tar": pack(t, "tar", nil), "/no.zip": pack(t, "zip", nil), "/bad.gz": text,
	}
	s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) { whole(w, r, files[r.URL.Path], `"a"`) })
	dir := t.TempDir()
	for name, packed := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, packed, 0o644); err != nil {
			t.Fatal(err)
		}
		fails := map[string]string{
			"/two.zip": "expected a single file: a and b", "/two.tar": "expected a single file: a and b",
			"/no.tar": "there is no file in it", "/no.zip": "there is no file in it", "/bad.gz": "gzip: invalid header",
		}[name]
		for _, r := range []kiln.Remote{
			{URL: s.URL + name, Checksum: sha(packed), Extension: "iso"},
			{URL: s.URL + name, Unchecked: true, Extension: "iso"},
			{URL: path, Checksum: sha(packed), Extension: "iso"},
			{URL: path, Unchecked: true, Extension: "iso"},
		} {
			store := quick(t.TempDir())
			mark := ""
			for range 2 { // it is unpacked once
				b, _ := build()
				got, err := store.Fetch(t.Context(), b, r)
				if fails != "" {
					if err == nil || !strings.Contains(err.Error(), fails) {
						t.Errorf("%s: %v, want %q", r.URL, err, fails)
					}
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", r.URL, err)
					continue
				}
				holds(t, got, text)
				now, err := kiln.Mark(got)
				if err != nil || mark != "" && mark != now || filepath.Dir(got) != store.cache {
					t.Errorf("%s is unpacked again, or not in the cache: %s, %v", r.URL, got, err)
				}
				mark = now
			}
			if left, _ := filepath.Glob(filepath.Join(store.cache, "*.kiln-unpacked*")); len(left) != 0 {
				t.Errorf("left %v", left)
			}
		}
	}
	// A checked file that was unpacked is not loaded again.
	n := len(s.requests())
	store := quick(t.TempDir())
	for range 3 {
		b, _ := build()
		if _, err := store.Fetch(t.Context(), b, kiln.Remote{URL: s.URL + "/x.zip", Checksum: sha(files["/x.zip"])}); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(s.requests()) - n; got != 1 {
		t.Errorf("%d requests", got)
	}
	b, _ := build()
	for url, name := range map[string]string{
		s.URL + "/x.zip?archive=false": "/x.zip", filepath.Join(dir, "x.iso.gz?archive=0"): "/x.iso.gz",
	} {
		got, err := store.Fetch(t.Context(), b, kiln.Remote{URL: url, Checksum: sha(files[name]), Extension: "raw"})
		if err != nil {
			t.Fatal(err)
		}
		holds(t, got, files[name])
	}
}

// fetches gets a file, twice where it has a checksum, and compares it.
func fetches(t *testing.T, store *Store, url string, text []byte) {
	t.Helper()
	b, _ := build()
	path, err := store.Fetch(t.Context(), b, kiln.Remote{URL: url, Checksum: sha(text)})
	if err != nil {
		t.Error(err)
		return
	}
	holds(t, path, text)
}

// The requests to S3 are signed with the keys of the address, or of the environment, and
// loaded as others are: what was cut goes on.
func TestS3(t *testing.T) {
	text := content(1)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_ACCESS_KEY_ID", "ENVKEY")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "envsecret")
	want := "AWS4-HMAC-SHA256 Credential=AKEY/"
	s := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), want) || r.URL.Path != "/bucket/a b/x.iso" ||
			!strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/s3/aws4_request") ||
			r.URL.RawQuery != "versionId=7" {
			t.Errorf("asked for %s with %v", r.URL, r.Header)
		}
		if n == 1 {
			cut(w, text, `"a"`, 1000)
		}
		whole(w, r, text, `"a"`)
	})
	url := "s3::" + s.URL + "/bucket/a%20b/x.iso?version=7&region=eu-west-1"
	fetches(t, quick(t.TempDir()), url+"&aws_access_key_id=AKEY&aws_access_key_secret=hush", text)
	if asked := strings.Join(s.requests(), ","); asked != ",bytes=1000-" {
		t.Errorf("asked for %s", asked)
	}
	want = "AWS4-HMAC-SHA256 Credential=ENVKEY/"
	fetches(t, quick(t.TempDir()), url, text)
	// Without keys a bucket may still be open to all; where it is not, the reason is named.
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	closed := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("signed by nobody: %v", r.Header)
		}
		w.WriteHeader(http.StatusForbidden)
	})
	b, events := build()
	_, err := quick(t.TempDir()).Fetch(t.Context(), b, kiln.Remote{
		URL: "s3::" + closed.URL + "/bucket/x.iso", Checksum: sha(text), For: "ISO"})
	if err == nil || !strings.Contains(err.Error(), "403 Forbidden; there are no credentials: ") ||
		strings.Contains(fmt.Sprint(err, events()), "hush") {
		t.Errorf("%v", err)
	}
	for host, region := range map[string]string{
		"s3.amazonaws.com": "", "s3-eu-west-1.amazonaws.com": "eu-west-1", "s3.eu-west-1.amazonaws.com": "eu-west-1",
		"bucket.s3.eu-west-1.amazonaws.com": "eu-west-1", "b.s3-us-west-2.amazonaws.com": "us-west-2",
		"s3.dualstack.us-east-2.amazonaws.com": "us-east-2", "s3.cn-north-1.amazonaws.com.cn": "cn-north-1",
	} {
		if m := s3Region.FindStringSubmatch(host); m == nil || m[1] != region {
			t.Errorf("%s is in %q", host, m)
		}
	}
}

func TestGCS(t *testing.T) {
	text := content(1)
	t.Setenv("GOOGLE_OAUTH_ACCESS_TOKEN", "token")
	s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.Header.Get("Authorization") != "Bearer token" || r.URL.EscapedPath() != "/storage/v1/b/bucket/o/a%2Fx%20y.iso" ||
			r.URL.RawQuery != "alt=media" {
			t.Errorf("asked for %s with %v", r.URL, r.Header)
		}
		whole(w, r, text, "")
	})
	const url = "gcs::https://www.googleapis.com/storage/v1/bucket/a/x%20y.iso"
	store := quick(t.TempDir())
	store.google = s.URL
	fetches(t, store, url, text)
	t.Setenv("STORAGE_EMULATOR_HOST", strings.TrimPrefix(s.URL, "http://"))
	fetches(t, quick(t.TempDir()), url, text)
}

// little is the beginning of content.
func little(n uint64) []byte { return content(n)[:50_000] }

// run runs a program of a repository.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HGUSER=test", "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@t", "GIT_COMMITTER_NAME=t",
		"GIT_COMMITTER_EMAIL=t@t", "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestGit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "repo.git")
	run(t, "/", "git", "init", "-q", "-b", "main", dir)
	commit := func(text []byte) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "x.iso"), text, 0o644); err != nil {
			t.Fatal(err)
		}
		run(t, dir, "git", "add", "x.iso")
		run(t, dir, "git", "commit", "-qm", "x")
		return run(t, dir, "git", "rev-parse", "HEAD")
	}
	hash := commit(little(1))
	run(t, dir, "git", "tag", "v1")
	run(t, dir, "git", "branch", "old")
	commit(little(2))
	for query, n := range map[string]uint64{
		"": 2, "?depth=1": 2, "?ref=v1": 1, "?ref=v1&depth=1": 1, "?ref=old": 1, "?ref=" + hash: 1,
	} {
		fetches(t, quick(t.TempDir()), "git::file://"+dir+"/x.iso"+query, little(n))
	}
	for url, want := range map[string]string{
		"git::file://" + dir + "/none":         "pathspec 'none' did not match",
		"git::file://" + dir + "none/x.iso":    "does not appear to be a git repository",
		"git::file://" + dir + "/x?sshkey=%21": "sshkey is not base64",
		"git::file://" + dir + "/x.iso?sshkey=" + base64.StdEncoding.EncodeToString([]byte("key")): "",
	} {
		b, _ := build()
		_, err := quick(t.TempDir()).Fetch(t.Context(), b, kiln.Remote{URL: url, Unchecked: true})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
	// One that is there already asks nobody.
	store := quick(t.TempDir())
	fetches(t, store, "git::file://"+dir+"/x.iso", little(2))
	fetches(t, store, "git::file:///none/x.iso", little(2))
}

func TestHg(t *testing.T) {
	if _, err := exec.LookPath("hg"); err != nil {
		if strings.Contains(os.Getenv("KILN_TEST_REQUIRE"), "hg") {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED, NOT TESTED: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "repo")
	run(t, "/", "hg", "init", dir)
	for n := range uint64(2) {
		if err := os.WriteFile(filepath.Join(dir, "x.iso"), little(n+1), 0o644); err != nil {
			t.Fatal(err)
		}
		run(t, dir, "hg", "commit", "-Am", "x")
	}
	fetches(t, quick(t.TempDir()), "hg::file://"+dir+"/x.iso", little(2))
	fetches(t, quick(t.TempDir()), "hg::file://"+dir+"/x.iso?rev=0", little(1))
	b, _ := build()
	_, err := quick(t.TempDir()).Fetch(t.Context(), b, kiln.Remote{URL: "hg::file://" + dir + "/none", Unchecked: true})
	if err == nil || !strings.Contains(err.Error(), "no such file in rev") {
		t.Errorf("%v", err)
	}
}

// smbclient is given the password apart from its arguments, which everybody can read. It is
// a stand-in here: the real one was tried by hand.
func TestSMB(t *testing.T) {
	bin := t.TempDir()
	text := little(1)
	file := filepath.Join(bin, "file")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	script := `#!/bin/sh
case "$*" in
'//host/share --user=ann --command=get "dir\x y.iso" "'*) [ "$PASSWD" = hush ] || exit 1 ;;
'//host/share --port=446 --no-pass --command=get "x.iso" "'*) ;;
*) echo "NT_STATUS_OBJECT_NAME_NOT_FOUND $*"; exit 1 ;;
esac
for arg; do out=${arg##*" \""}; done
cp ` + file + ` "${out%\"}"
`
	if err := os.WriteFile(filepath.Join(bin, "smbclient"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("PATH")
	t.Setenv("PATH", bin+":"+path)
	fetches(t, quick(t.TempDir()), "smb://ann:hush@host/share/dir/x%20y.iso", text)
	fetches(t, quick(t.TempDir()), "smb://host:446/share/x.iso", text)
	b, _ := build()
	_, err := quick(t.TempDir()).Fetch(t.Context(), b, kiln.Remote{URL: "smb://ann:hush@host/share/z", Unchecked: true})
	if err == nil || !strings.Contains(err.Error(), "NT_STATUS_OBJECT_NAME_NOT_FOUND") || strings.Contains(err.Error(), "hush") {
		t.Errorf("%v", err)
	}
	t.Setenv("PATH", t.TempDir())
	_, err = quick(t.TempDir()).Fetch(t.Context(), b, kiln.Remote{URL: "smb://host/share/z", Unchecked: true})
	if err == nil || !strings.Contains(err.Error(), "the program smbclient is needed for it") {
		t.Errorf("%v", err)
	}
}
