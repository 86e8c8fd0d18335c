package download

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kiln"
)

func TestLists(t *testing.T) {
	a, b, c := strings.Repeat("a", 64), strings.Repeat("b", 64), strings.Repeat("c", 32)
	for _, k := range []struct{ name, list, url, want string }{
		{"GNU", a + "  other.iso\n" + b + "  x.iso\n", "", "sha256:" + b},
		{"GNU, binary", a + " *other.iso\n" + strings.ToUpper(b) + " *x.iso\n", "", "sha256:" + b},
		{"GNU, unknown", a + " ?x.iso\n", "", "sha256:" + a},
		{"BSD", "SHA256 (other.iso) = " + a + "\nMD5 (x.iso) = " + c + "\nSHA256 (x.iso) = " + b + "\n", "", "md5:" + c},
		{"BSD without spaces", "SHA256(x.iso)= " + b + "\n", "", "sha256:" + b},
		{"SHA2-256", "SHA2-256 (x.iso) = " + b + "\n", "", ""},
		{"no line end", a + "  other.iso\n" + b + "  x.iso", "", "sha256:" + b},
		{"Windows", a + "  other.iso\r\n" + b + "  x.iso\r\n", "", "sha256:" + b},
		{"signed", "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# x.iso: 5 bytes\n" + b + "  x.iso\n" +
			"-----BEGIN PGP SIGNATURE-----\niQ x.iso\n", "", "sha256:" + b},
		{"digits alone", "\n" + b + "\n" + a + "\n", "", "sha256:" + b},
		{"beside the list", a + "  y/x.iso\n" + b + "  ./sub/x.iso\n", "http://host/d/sub/x.iso", "sha256:" + b},
		{"whole path", a + "  other\n" + b + "  /d/sub/x.iso\n", "http://host/d/sub/x.iso", "sha256:" + b},
		{"part of the path", a + "  other\n" + b + "  ./sub\n", "http://host/d/sub/x.iso", "sha256:" + b},
		{"spaces", a + "  my file.iso\n" + b + "  x.iso\n", "http://host/my%20file.iso", "sha256:" + a},
		{"spaces, of anything", a + "  x.iso  (5 bytes)\n", "", "sha256:" + a},
		{"first match", a + "  x.iso\n" + b + "  x.iso\n", "", "sha256:" + a},
		{"missing", a + "  other.iso\n", "", ""},
		{"nothing", "", "", ""},
		{"not hex", "zz  x.iso\n", "", ""},
	} {
		url := k.url
		if url == "" {
			url = "http://host/d/x.iso"
		}
		src, err := parse(url)
		if err != nil {
			t.Fatal(err)
		}
		list, err := parse("http://host/d/SHA256SUMS")
		if err != nil {
			t.Fatal(err)
		}
		found, ok := find([]byte(k.list), src, list)
		if found.String() != k.want || ok != (k.want != "") {
			t.Errorf("%s: %s, %v; want %s", k.name, found, ok, k.want)
		}
	}
}

func TestChecksum(t *testing.T) {
	t.Chdir(t.TempDir())
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	text := content(1)
	list := sha(text)[7:] + "  x.iso\n"
	for path, text := range map[string]string{"SUMS": list, "x.iso": string(text)} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		switch r.URL.Path {
		case "/SUMS":
			w.Write([]byte(list))
		case "/x.iso":
			whole(w, r, text, "")
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	store := quick(t.TempDir())
	for _, checksum := range []string{
		"file:SUMS", "file:./SUMS", "FILE:" + wd + "/SUMS", "file:file://" + wd + "/SUMS", "file:" + s.URL + "/SUMS",
		"file://./SUMS", "file:file://./SUMS",
	} {
		for _, url := range []string{"x.iso", s.URL + "/x.iso"} {
			b, _ := build()
			r := kiln.Remote{URL: url, Checksum: checksum}
			if sum, err := store.Checksum(t.Context(), b, r); sum != sha(text) || err != nil {
				t.Errorf("%s of %s: %s, %v", checksum, url, sum, err)
			}
			path, err := store.Fetch(t.Context(), b, r)
			if err != nil {
				t.Errorf("%s of %s: %v", checksum, url, err)
				continue
			}
			holds(t, path, text)
		}
	}
	for _, c := range []struct{ url, checksum, want string }{
		{"y.iso", "file:SUMS", "no checksum of y.iso found in: SUMS"},
		{"x.iso", "file:none", "checksum file none: stat "},
		{"x.iso", "file:" + s.URL + "/none", "bad response code: 404"},
		{"x.iso", "file:", "checksum file: there is no address"},
	} {
		b, _ := build()
		if _, err := store.Fetch(t.Context(), b, kiln.Remote{URL: c.url, Checksum: c.checksum}); err == nil ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.checksum, err, c.want)
		}
	}
	// What stands in the address counts where nothing else is said.
	b, _ := build()
	sums := strings.Repeat("0", 64)
	_, err = store.Fetch(t.Context(), b, kiln.Remote{URL: s.URL + "/x.iso?checksum=" + sums, Checksum: "none", Unchecked: true})
	if err == nil || !strings.Contains(err.Error(), "download "+s.URL+"/x.iso: checksums did not match: expected "+sums) {
		t.Errorf("%v", err)
	}
	if got, err := store.Checksum(t.Context(), b, kiln.Remote{URL: "x.iso", Checksum: "none", Unchecked: true}); got != "" ||
		err != nil {
		t.Errorf("none is %q, %v", got, err)
	}
}

// Whatever is in a list, what is found is a checksum that a file can have.
func FuzzList(f *testing.F) {
	f.Add("SHA256 (x.iso) = "+strings.Repeat("ab", 32), "http://host/x.iso")
	f.Add(strings.Repeat("ab", 16)+" *./x.iso", "x.iso")
	f.Fuzz(func(t *testing.T, text, url string) {
		src, err := parse(url)
		if err != nil {
			return
		}
		for _, where := range []string{"http://host/SUMS", filepath.Join("a", "SUMS")} {
			list, err := parse(where)
			if err != nil {
				t.Fatal(err)
			}
			found, ok := find([]byte(text), src, list)
			if !ok {
				continue
			}
			if kind, digits, err := (kiln.Remote{Checksum: found.String()}).Sum(); err != nil ||
				(sum{kind, digits}) != found {
				t.Errorf("found %s: %v", found, err)
			}
		}
	})
}

// What is shown of an address holds nothing of its query, and nothing of who logs in.
func FuzzSource(f *testing.F) {
	for _, text := range []string{
		"http://u:hush@host/x.iso?hush", "s3::https://s3.amazonaws.com/b/x?aws_access_key_secret=hush",
		"git::git@host:a/b.git/x.iso?ref=v1", "./x.iso?archive=false", "file:///x", "smb://u:hush@h/s/f", "C:\\x.iso",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		src, err := parse(text)
		if err != nil || src.url == nil || src.form == formFile {
			return
		}
		if strings.ContainsAny(src.name, "?") || src.url.Host == "" && src.url.Scheme != "file" || src.base() == "" {
			t.Errorf("%q is %+v", text, src)
		}
	})
}

func FuzzNetrc(f *testing.F) {
	f.Add("machine a login b password c\nmachine d login e\ndefault login x password y\nmacdef z\nmachine q", "d")
	f.Fuzz(func(t *testing.T, text, host string) {
		login, password, ok := readNetrc(text, host)
		if !ok && login+password != "" {
			t.Errorf("%q %q for nobody", login, password)
		}
	})
}

func TestNetrc(t *testing.T) {
	const text = "# mine\nmachine a.example login ann password secret # not this\nmachine b.example\n  login bob\n" +
		"default login any password open\nmacdef init\nmachine c.example login no password no\n"
	for host, want := range map[string]string{
		"a.example": "ann secret true", "A.EXAMPLE": "ann secret true", "b.example": "bob  true", "c.example": "any open true",
	} {
		login, password, ok := readNetrc(text, host)
		if got := strings.Join([]string{login, password, map[bool]string{true: "true"}[ok]}, " "); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
	if _, _, ok := readNetrc("machine a login b", "c"); ok {
		t.Error("a host that is not in it")
	}
	file := filepath.Join(t.TempDir(), "netrc")
	if err := os.WriteFile(file, []byte("machine 127.0.0.1 login ann password secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NETRC", file)
	s := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if user, password, _ := r.BasicAuth(); user != "ann" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	b, _ := build()
	if _, err := quick(t.TempDir()).Fetch(t.Context(), b, kiln.Remote{URL: s.URL, Unchecked: true}); err != nil {
		t.Error(err)
	}
}
