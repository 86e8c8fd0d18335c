package iso

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kiln"
	"kiln/kilntest"
)

func TestCheck(t *testing.T) {
	const url = "http://host/x.iso"
	digits := strings.Repeat("a", 64)
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{URL: url, Checksum: digits}, ""},
		{Config{URL: url, Checksum: "SHA256:" + strings.ToUpper(digits)}, ""},
		{Config{URL: url, Checksum: "md5:" + digits[:32]}, ""},
		{Config{URL: url, Checksum: "file:./SHA256SUMS"}, ""},
		{Config{URLs: []string{url, "b"}, Checksum: digits}, ""},
		{Config{URL: url, URLs: []string{url}, Checksum: digits}, "Only one of iso_url or iso_urls must be specified"},
		{Config{Checksum: digits}, "One of iso_url or iso_urls must be specified"},
		{Config{URL: url}, "A checksum must be specified"},
		{Config{URL: url, Checksum: "none"}, "A checksum of 'none' was specified. Since ISO files are so big,\n" +
			"a checksum is highly recommended."},
		{Config{URL: url, Checksum: "None"}, `invalid checksum: encoding/hex: invalid byte: U+006E 'n' in "None"`},
		{Config{URL: url, Checksum: "sha384:00"}, `unsupported checksum type: sha384 in "sha384:00"`},
		{Config{URL: url, Checksum: "zz"}, `invalid checksum: encoding/hex: invalid byte: U+007A 'z' in "zz"`},
		{Config{URL: url, Checksum: "sha256:../x.iso"}, "Error parsing checksum: .iso is not a valid checksum ending"},
		{Config{URL: url, Checksum: "abc123"}, "6 hexadecimal digits"},
	} {
		err := c.config.Check()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v, want %q", c.config, err, c.want)
		}
		for _, e := range kiln.Errors(err) {
			var field *kiln.FieldError
			if !errors.As(e, &field) || !strings.HasPrefix(field.Field, "iso_") || field.Caution != (c.config.Checksum == "none") {
				t.Errorf("%+v: %+v is of no field", c.config, e)
			}
		}
	}
}

func TestGet(t *testing.T) {
	const text = "the disk\n"
	sum := sha256.Sum256([]byte(text))
	digits := hex.EncodeToString(sum[:])
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/x.iso" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Write([]byte(text))
	}))
	defer server.Close()
	local := filepath.Join(t.TempDir(), "a b.iso")
	if err := os.WriteFile(local, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config Config
		end    string // of the path
		said   []string
	}{
		{Config{URL: local, Checksum: digits}, "/a b.iso", []string{
			"Retrieving ISO", "Trying " + local, "Trying " + local + "?checksum=sha256%3A" + digits,
			local + "?checksum=sha256%3A" + digits + " => " + local}},
		{Config{URLs: []string{server.URL + "/none.iso", server.URL + "/x.iso"}, Checksum: digits,
			TargetExtension: "ISO"}, ".iso", nil},
		{Config{URL: server.URL + "/x.iso", Checksum: "none"}, ".iso", nil},
	} {
		b, r := kilntest.NewBuild(t)
		path, err := c.config.Get(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); string(got) != text || err != nil || !strings.HasSuffix(path, c.end) {
			t.Errorf("%s holds %q, %v", path, got, err)
		}
		if said := r.Texts(kiln.EventSay); c.said != nil && !slices.Equal(said, c.said) {
			t.Errorf("it said %q", said)
		}
	}
	b, _ := kilntest.NewBuild(t)
	c := Config{URL: local, Checksum: strings.Repeat("0", 64)}
	if _, err := c.Get(t.Context(), b); err == nil || !strings.Contains(err.Error(), "checksums did not match") {
		t.Errorf("%v", err)
	}
}
