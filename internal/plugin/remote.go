package plugin

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	goversion "github.com/hashicorp/go-version"

	"kiln"
)

// Remote is where plugins come from. An address is http, https or file; file serves
// a folder with the files of a release server.
type Remote struct {
	Mirror   string // tried alone where it is set; folders HOST/OWNER/packer-plugin-NAME/...
	Releases string // release server of official plugins; empty: https://releases.hashicorp.com
	API      string // of GitHub; empty: https://api.github.com
	GitHub   string // empty: https://github.com
	Token    string // for the API only
	// Pin is what a lock file holds for a source; nil where it holds nothing. A nil
	// function is that there is no lock file.
	Pin func(source string) *Pin
	// Journal owns what is not yet installed; nil: nothing does.
	Journal kiln.Journal
}

// Fetched is a plugin that was installed from a remote.
type Fetched struct {
	Path string
	Pin  // all that a lock file is to hold
}

const (
	metaLimit    = 16 << 20  // of lists and checksums
	archiveLimit = 512 << 20 // of a plugin
	httpLimit    = 5 * time.Minute
)

var client = newClient()

func newClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.RegisterProtocol("file", http.NewFileTransport(http.Dir("/")))
	return &http.Client{Transport: t, Timeout: httpLimit, CheckRedirect: redirect}
}

// maxRedirects is how often a server may send us elsewhere.
const maxRedirects = 10

// redirect refuses to be sent to files of this machine, and from https to what anybody
// could change on its way.
func redirect(r *http.Request, via []*http.Request) error {
	before := via[len(via)-1].URL
	switch {
	case len(via) >= maxRedirects:
		return fmt.Errorf("stopped after %d redirects", maxRedirects)
	case r.URL.Scheme == before.Scheme, before.Scheme == "http" && r.URL.Scheme == "https":
		return nil
	}
	return fmt.Errorf("%s sends us from %s to %s: that is not followed", before.Host, before.Scheme, r.URL.Redacted())
}

var errAbsent = errors.New("not found")

func (r Remote) get(ctx context.Context, address string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if r.Token != "" && strings.HasPrefix(address, r.api()+"/") {
		req.Header.Set("Authorization", "Bearer "+r.Token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%s: %w", redacted(address), errAbsent)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: %s", redacted(address), resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("%s: larger than %d MiB", redacted(address), limit>>20)
	}
	return body, err
}

// redacted is an address for people: without the password that a mirror's may hold.
func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the address of the plugins"
	}
	return u.Redacted()
}

func (r Remote) releases() string { return or(r.Releases, "https://releases.hashicorp.com") }
func (r Remote) api() string      { return or(r.API, "https://api.github.com") }
func (r Remote) github() string   { return or(r.GitHub, "https://github.com") }

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return strings.TrimSuffix(s, "/")
}

// origin is one way to get a plugin.
type origin interface {
	versions(ctx context.Context) ([]string, error)
	sums(ctx context.Context, version string) (map[string]string, error) // file name -> digest
	prefix(version string) string                                        // of the names of archives
	archive(ctx context.Context, version, name string) (api, address string, err error)
}

func (r Remote) origins(req Requirement) ([]origin, error) {
	parts := strings.Split(req.Source, "/")
	switch {
	case r.Mirror != "":
		base := r.Mirror
		if !strings.Contains(base, "://") {
			abs, err := filepath.Abs(base)
			if err != nil {
				return nil, err
			}
			base = (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}).String()
		}
		return []origin{server{r, or(base, "") + "/" + path.Dir(req.Source), req.Name()}}, nil
	case parts[0] != "github.com" || len(parts) != 3:
		return nil, fmt.Errorf("%s: only plugins of github.com can be fetched: install this one with plugins "+
			"install --path, or set KILN_PLUGIN_MIRROR", req.Source)
	case parts[1] == "hashicorp":
		return []origin{server{r, r.releases(), req.Name()}, hub{r, parts[1], req.Name()}}, nil
	}
	return []origin{hub{r, parts[1], req.Name()}}, nil
}

// server is a release server, or a folder with its files.
type server struct {
	Remote
	base, name string
}

func (s server) file(version, suffix string) string {
	return fmt.Sprintf("%s/packer-plugin-%s/%s/packer-plugin-%s_%s_%s", s.base, s.name, version, s.name, version,
		suffix)
}

func (s server) versions(ctx context.Context) ([]string, error) {
	body, err := s.get(ctx, fmt.Sprintf("%s/packer-plugin-%s/index.json", s.base, s.name), metaLimit)
	if err != nil {
		return nil, err
	}
	var index struct {
		Versions map[string]json.RawMessage `json:"versions"`
	}
	if err := json.Unmarshal(body, &index); err != nil {
		return nil, fmt.Errorf("index.json of %s: %w", s.name, err)
	}
	var all []string
	for v := range index.Versions {
		all = append(all, v)
	}
	return all, nil
}

func (s server) sums(ctx context.Context, version string) (map[string]string, error) {
	return s.readSums(ctx, s.file(version, "SHA256SUMS"))
}

func (s server) prefix(version string) string { return path.Base(s.file(version, "")) }

func (s server) archive(ctx context.Context, version, name string) (api, address string, err error) {
	body, err := s.get(ctx, s.file(version, "manifest.json"), metaLimit)
	if err != nil {
		return "", "", err
	}
	var manifest struct {
		Metadata struct {
			Protocol string `json:"protocol_version"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(body, &manifest); err != nil {
		return "", "", fmt.Errorf("manifest of %s %s: %w", s.name, version, err)
	}
	return "x" + manifest.Metadata.Protocol, s.file(version, strings.TrimPrefix(name, s.prefix(version))), nil
}

// hub is the releases of a repository on GitHub.
type hub struct {
	Remote
	owner, name string
}

func (h hub) versions(ctx context.Context) ([]string, error) {
	tags := fmt.Sprintf("%s/repos/%s/packer-plugin-%s/git/matching-refs/tags", h.api(), h.owner, h.name)
	body, err := h.get(ctx, tags, metaLimit)
	if err != nil {
		return nil, err
	}
	var refs []struct {
		Ref string `json:"ref"`
	}
	if err := json.Unmarshal(body, &refs); err != nil {
		return nil, fmt.Errorf("tags of %s/packer-plugin-%s: %w", h.owner, h.name, err)
	}
	var all []string
	for _, r := range refs {
		if v, ok := strings.CutPrefix(r.Ref, "refs/tags/v"); ok {
			all = append(all, v)
		}
	}
	return all, nil
}

func (h hub) file(version, name string) string {
	return fmt.Sprintf("%s/%s/packer-plugin-%s/releases/download/v%s/%s", h.github(), h.owner, h.name, version,
		name)
}

func (h hub) sums(ctx context.Context, version string) (map[string]string, error) {
	return h.readSums(ctx, h.file(version, fmt.Sprintf("packer-plugin-%s_v%s_SHA256SUMS", h.name, version)))
}

func (h hub) prefix(version string) string {
	return fmt.Sprintf("packer-plugin-%s_v%s_", h.name, version)
}

func (h hub) archive(_ context.Context, version, name string) (api, address string, err error) {
	m := archiveName.FindStringSubmatch(strings.TrimPrefix(name, h.prefix(version)))
	if m == nil || m[1] == "" {
		return "", "", fmt.Errorf("%s names no version of the protocol", name)
	}
	return m[1], h.file(version, name), nil
}

// archiveName is the rest of an archive's name: the version of the protocol, which not all
// name, and the system.
var archiveName = regexp.MustCompile(`^(?:(x[0-9]+\.[0-9]+)_)?([a-z0-9]+_[a-z0-9]+)\.zip$`)

// archives are the names of a release's archives by system. Of several for one system it is
// that of the newest version of the protocol that is known, else the first by name.
func archives(sums map[string]string, prefix string) map[string]string {
	found, protocol := map[string]string{}, map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		rest, ok := strings.CutPrefix(name, prefix)
		m := archiveName.FindStringSubmatch(rest)
		if !ok || m == nil {
			continue
		}
		major, minor, system := 0, 0, m[2]
		_, _ = fmt.Sscanf(m[1], "x%d.%d", &major, &minor)
		minor++ // zero is what is not known
		if major != apiMajor || minor > apiMinor+1 {
			minor = 0
		}
		if _, twice := found[system]; !twice || minor > protocol[system] {
			found[system], protocol[system] = name, minor
		}
	}
	return found
}

// readSums reads lines "HEX  FILE".
func (r Remote) readSums(ctx context.Context, address string) (map[string]string, error) {
	body, err := r.get(ctx, address, metaLimit)
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for line := range strings.Lines(string(body)) {
		f := strings.Fields(line)
		if len(f) == 2 && !strings.HasSuffix(f[1], ".json") {
			sums[strings.TrimPrefix(f[1], "*")] = strings.ToLower(f[0])
		}
	}
	return sums, nil
}

// Install fetches the newest version that meets a requirement, or the one that the
// lock file pins, and puts it into the plugin folder.
func (r Remote) Install(ctx context.Context, dir string, req Requirement) (*Fetched, error) {
	origins, err := r.origins(req)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, o := range origins {
		got, err := r.installFrom(ctx, o, dir, req)
		if err == nil {
			return got, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil || errors.Is(err, errDigest) {
			break
		}
	}
	return nil, errors.Join(errs...)
}

var errDigest = errors.New("checksum mismatch")

func (r Remote) installFrom(ctx context.Context, o origin, dir string, req Requirement) (*Fetched, error) {
	names, err := o.versions(ctx)
	if err != nil {
		return nil, err
	}
	var pin *Pin
	pinned := ""
	if r.Pin != nil {
		pin = r.Pin(req.Source)
	}
	if pin != nil {
		pinned = pin.Version
	}
	var fit []*goversion.Version
	for _, name := range names {
		v, err := goversion.NewVersion(name)
		if err != nil || v.Prerelease() != "" || !req.accepts(v) || pinned != "" && v.String() != pinned {
			continue
		}
		fit = append(fit, v)
	}
	if len(fit) == 0 {
		what := or(req.Constraint, "any version")
		if pinned != "" {
			what = pinned + ", which the lock file asks for (init -upgrade takes another)"
		}
		return nil, fmt.Errorf("no release of %s meets %s; there are: %s", req.Source, what,
			or(strings.Join(names, ", "), "none"))
	}
	slices.SortFunc(fit, func(a, b *goversion.Version) int { return b.Compare(a) })
	var last error
	for _, v := range fit {
		got, err := r.fetch(ctx, o, dir, req, v, pin)
		if err == nil || errors.Is(err, errDigest) || ctx.Err() != nil {
			return got, err
		}
		last = err
	}
	return nil, last
}

// release is what a place says of a version: the names of its archives and their digests,
// by system.
func (r Remote) release(ctx context.Context, o origin, version string) (names, zips map[string]string, err error) {
	sums, err := o.sums(ctx, version)
	if err != nil {
		return nil, nil, err
	}
	names, zips = archives(sums, o.prefix(version)), map[string]string{}
	for system, name := range names {
		zips[system] = sums[name]
	}
	return names, zips, nil
}

// Zips are the digests of a version's archives by system, for a lock file.
func (r Remote) Zips(ctx context.Context, req Requirement, version string) (map[string]string, error) {
	origins, err := r.origins(req)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, o := range origins {
		_, zips, err := r.release(ctx, o, version)
		if err == nil {
			return zips, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (r Remote) fetch(ctx context.Context, o origin, dir string, req Requirement, v *goversion.Version, pin *Pin) (
	*Fetched, error) {
	names, zips, err := r.release(ctx, o, v.String())
	if err != nil {
		return nil, err
	}
	name, ok := names[System]
	if !ok {
		return nil, fmt.Errorf("%s %s has no archive for %s in its list of checksums: %w", req.Source, v, System,
			errAbsent)
	}
	api, address, err := o.archive(ctx, v.String(), name)
	if err != nil {
		return nil, err
	}
	body, err := r.get(ctx, address, archiveLimit)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(body)
	have := hex.EncodeToString(digest[:])
	if have != zips[System] {
		return nil, fmt.Errorf("%s: %w: it has %s, its list says %s", redacted(address), errDigest, have, zips[System])
	}
	got := &Fetched{Pin: Pin{Version: v.String(), Zips: zips, Binaries: map[string]string{}}}
	if pin != nil {
		// Another digest for any system is another release under the same name. What the
		// lock does not have it gets by -upgrade only.
		for system, locked := range pin.Zips {
			if zip, listed := zips[system]; listed && zip != locked {
				return nil, fmt.Errorf("%s: %w: for %s its list says %s, the lock file says %s", redacted(address),
					errDigest, system, zip, locked)
			}
		}
		got.Zips = pin.Zips
		maps.Copy(got.Binaries, pin.Binaries)
	}
	got.Path, err = r.unpack(ctx, body, dir, req, v, api, got.Binaries)
	return got, err
}

// unpack takes the binary out of an archive and installs it if it is what it
// should be. Its digest is checked with, or put into, sums.
func (r Remote) unpack(ctx context.Context, archive []byte, dir string, req Requirement, v *goversion.Version,
	api string, sums map[string]string) (string, error) {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return "", fmt.Errorf("archive of %s: %w", req.Source, err)
	}
	check := func(path, sum string) error {
		if locked := sums[System]; locked != "" && locked != sum {
			return fmt.Errorf("the plugin in the archive of %s %s: %w: it has %s, the lock file says %s",
				req.Source, v, errDigest, sum, locked)
		}
		sums[System] = sum
		about, err := Describe(ctx, path)
		if err != nil {
			return err
		}
		if dv, err := goversion.NewVersion(about.Version); err != nil || dv.Prerelease() != "" ||
			!dv.Core().Equal(v) || about.APIVersion != api {
			return fmt.Errorf("the plugin in the archive of %s %s says that it is %s, API %s", req.Source, v,
				about.Version, about.APIVersion)
		}
		return nil
	}
	for _, f := range z.File {
		if !strings.HasPrefix(path.Base(f.Name), "packer-plugin-"+req.Name()) || f.FileInfo().IsDir() {
			continue
		}
		in, err := f.Open()
		if err != nil {
			return "", err
		}
		defer in.Close()
		return place(r.Journal, dir, req, v, api, io.LimitReader(in, archiveLimit), check)
	}
	return "", fmt.Errorf("the archive of %s %s holds no packer-plugin-%s", req.Source, v, req.Name())
}
