// Package plugin finds, installs and removes plugin binaries in the folder that
// Packer keeps them in: docs/compat/plugin-protocol.md 1.
package plugin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	goversion "github.com/hashicorp/go-version"

	"kiln"
)

// The newest version of the plugin protocol that is known.
const (
	apiMajor = 5
	apiMinor = 0
)

// Requirement is a plugin that a template asks for.
type Requirement struct {
	Accessor   string // prefix of its components in the template
	Source     string // host/owner/name
	Constraint string // such as ">= 1.0, < 2"; empty: any release
}

// Name is the last part of the source.
func (r Requirement) Name() string { return r.Source[strings.LastIndex(r.Source, "/")+1:] }

// accepts reports whether a version, taken without its pre-release, meets the
// constraint.
func (r Requirement) accepts(v *goversion.Version) bool {
	if r.Constraint == "" {
		return true
	}
	c, err := goversion.NewConstraint(r.Constraint)
	return err == nil && c.Check(v.Core())
}

// BuiltIn are the plugins whose components are part of Kiln, with the version whose
// options they have.
var BuiltIn = map[string]string{"github.com/hashicorp/docker": "1.1.2"}

// IsBuiltIn reports whether Kiln itself meets a requirement, and which version it
// counts as where it knows the plugin.
func (r Requirement) IsBuiltIn() (ok bool, version string) {
	version, known := BuiltIn[r.Source]
	if !known {
		return false, ""
	}
	return r.accepts(goversion.Must(goversion.NewVersion(version))), version
}

var source = regexp.MustCompile(`^[a-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9][A-Za-z0-9_.-]*){2,15}$`)

// ParseSource checks a plugin's address.
func ParseSource(s string) error {
	name := s[strings.LastIndex(s, "/")+1:]
	switch {
	case strings.Contains(s, "://"):
		return fmt.Errorf("%q: the address of a plugin has no scheme: write host/owner/name", s)
	case !source.MatchString(s), slices.Contains(strings.Split(s, "/"), ".."):
		return fmt.Errorf("invalid plugin address %q: want host/owner/name", s)
	case strings.HasPrefix(name, "packer-"):
		return fmt.Errorf("%q: the name of the plugin is given without the prefix packer-plugin-", s)
	}
	return nil
}

// Plugin is a binary that is installed and valid.
type Plugin struct {
	Path    string
	Source  string
	Version *goversion.Version
	API     string // such as x5.0
	Sum     string // SHA-256 of the binary
	About   Description
}

// Description is what a plugin says of itself.
type Description struct {
	Version        string   `json:"version"`
	SDKVersion     string   `json:"sdk_version"`
	APIVersion     string   `json:"api_version"`
	Builders       []string `json:"builders"`
	PostProcessors []string `json:"post_processors"`
	Provisioners   []string `json:"provisioners"`
	DataSources    []string `json:"datasources"`
	Protocol       string   `json:"protocol_version"`
}

// Dir is the plugin folder, which may not exist yet. Env reads the environment.
func Dir(env func(string) string) (string, error) {
	if dir := env("PACKER_PLUGIN_PATH"); dir != "" {
		if strings.ContainsRune(dir, os.PathListSeparator) {
			return "", errors.New("PACKER_PLUGIN_PATH: one folder, not a list")
		}
		return filepath.Abs(dir)
	}
	if dir := env("PACKER_CONFIG_DIR"); dir != "" {
		return filepath.Join(dir, ".packer.d", "plugins"), nil
	}
	home := env("HOME")
	if home == "" {
		return "", errors.New("no folder for plugins: set PACKER_PLUGIN_PATH or HOME")
	}
	if _, err := os.Stat(filepath.Join(home, ".packer.d")); err == nil {
		return filepath.Join(home, ".packer.d", "plugins"), nil
	}
	if dir := env("XDG_CONFIG_HOME"); dir != "" {
		return filepath.Join(dir, "packer", "plugins"), nil
	}
	return filepath.Join(home, ".config", "packer", "plugins"), nil
}

var binary = regexp.MustCompile(`^packer-plugin-([a-zA-Z0-9._-]+?)_(v[^_]+)_x(\d+)\.(\d+)_` + runtime.GOOS +
	"_" + runtime.GOARCH + `(\.exe)?$`)

// Options narrow what Installed lists.
type Options struct {
	Releases bool // no pre-releases
	AnyAPI   bool // versions of the protocol that cannot be spoken too
}

// Installed lists the valid binaries below a folder for this system, by path. What
// is not valid is passed over.
func Installed(ctx context.Context, dir string, o Options) ([]Plugin, error) {
	var all []Plugin
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == dir {
			return filepath.SkipDir
		}
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		depth := strings.Count(filepath.ToSlash(rel), "/")
		if e.IsDir() {
			if depth > 16 {
				return filepath.SkipDir
			}
			return nil
		}
		if depth == 0 {
			return nil
		}
		if p, err := inspect(ctx, dir, path, o); err == nil {
			all = append(all, *p)
		}
		return ctx.Err()
	})
	return all, err
}

// inspect checks one file by the rules of docs/compat/plugin-protocol.md 1.4.
func inspect(ctx context.Context, dir, path string, o Options) (*Plugin, error) {
	m := binary.FindStringSubmatch(filepath.Base(path))
	if m == nil {
		return nil, errors.New("its name is not that of a plugin for this system")
	}
	v, err := goversion.NewVersion(m[2])
	if err != nil || "v"+v.String() != m[2] || v.Metadata() != "" {
		return nil, fmt.Errorf("invalid version %q: not in canonical form", m[2])
	}
	if o.Releases && v.Prerelease() != "" {
		return nil, errors.New("it is a pre-release")
	}
	if !o.AnyAPI && (m[3] != fmt.Sprint(apiMajor) || m[4] > fmt.Sprint(apiMinor)) {
		return nil, fmt.Errorf("it speaks version %s.%s of the protocol", m[3], m[4])
	}
	want, err := os.ReadFile(path + "_SHA256SUM")
	if err != nil {
		return nil, fmt.Errorf("its checksum: %w", err)
	}
	sum, err := fileSum(path)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(strings.TrimSpace(string(want)), sum) {
		return nil, errors.New("its checksum is another")
	}
	about, err := Describe(ctx, path)
	if err != nil {
		return nil, err
	}
	api := fmt.Sprintf("x%s.%s", m[3], m[4])
	says, err := goversion.NewVersion(about.Version)
	if err != nil || !same(says, v) || about.APIVersion != api {
		return nil, fmt.Errorf("it says that it is %s, API %s", about.Version, about.APIVersion)
	}
	rel, _ := filepath.Rel(dir, filepath.Dir(path))
	return &Plugin{path, filepath.ToSlash(rel), v, api, sum, about}, nil
}

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

const describeLimit = 20 * time.Second

// Describe asks a binary what it is.
func Describe(ctx context.Context, path string) (Description, error) {
	ctx, cancel := context.WithTimeout(ctx, describeLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "describe")
	cmd.WaitDelay = time.Second
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return Description{}, fmt.Errorf("%s describe: %w%s", path, err, lastLine(errs.String()))
	}
	var d Description
	if err := json.Unmarshal(out, &d); err != nil {
		return Description{}, fmt.Errorf("%s describe: not a plugin: %w", path, err)
	}
	if d.Version == "" || d.APIVersion == "" {
		return Description{}, fmt.Errorf("%s describe: it names no version", path)
	}
	return d, nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	return ": " + s[strings.LastIndex(s, "\n")+1:]
}

// Matching are the installed plugins that meet a requirement, the best one first.
func Matching(all []Plugin, r Requirement) []Plugin {
	var fit []Plugin
	for _, p := range all {
		if p.Source == r.Source && r.accepts(p.Version) {
			fit = append(fit, p)
		}
	}
	slices.SortStableFunc(fit, func(a, b Plugin) int { return b.Version.Compare(a.Version) })
	return fit
}

// Remove deletes a binary and its checksum.
func Remove(path string) error {
	err := os.Remove(path)
	if sumErr := os.Remove(path + "_SHA256SUM"); !errors.Is(sumErr, fs.ErrNotExist) {
		err = errors.Join(err, sumErr)
	}
	return err
}

// InstallLocal copies a binary into the plugin folder, under the version that it
// says it has, and returns where it is. What a kill leaves of it is owned in the journal.
func InstallLocal(ctx context.Context, j kiln.Journal, dir, src, bin string) (string, error) {
	abs, err := filepath.Abs(bin)
	if err != nil {
		return "", err
	}
	about, err := Describe(ctx, abs)
	if err != nil {
		return "", err
	}
	v, err := goversion.NewVersion(about.Version)
	if err != nil {
		return "", fmt.Errorf("%s: version %q: %w", bin, about.Version, err)
	}
	if pre := v.Prerelease(); pre != "" && pre != "dev" {
		return "", fmt.Errorf("%s is the pre-release %s: only releases and -dev versions can be installed", bin, v)
	}
	f, err := os.Open(abs)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return place(j, dir, Requirement{Source: src}, v, about.APIVersion, f, nil)
}

// same reports whether versions are equal but for what is behind a plus sign.
func same(a, b *goversion.Version) bool {
	return a.Equal(b) || a.Core().Equal(b.Core()) && a.Prerelease() == b.Prerelease()
}

// place writes a binary under its name, and its checksum first: without it the
// binary counts for nothing. What check, if it is given, refuses is not kept; check is
// called with the path before the rename, and the checksum.
func place(j kiln.Journal, dir string, r Requirement, v *goversion.Version, api string, in io.Reader,
	check func(path, sum string) error) (string, error) {
	folder := filepath.Join(dir, filepath.FromSlash(r.Source))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(folder, r.file(v, api))
	part, done, err := kiln.NewPart(j, folder, ".part-")
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(part, h), in)
	err = errors.Join(err, part.Chmod(0o755), part.Close())
	sum := hex.EncodeToString(h.Sum(nil))
	if err == nil && check != nil {
		err = check(part.Name(), sum)
	}
	var forget func() error
	if err == nil {
		forget, err = writeSum(j, path+"_SHA256SUM", sum)
	}
	if err == nil {
		err = errors.Join(os.Rename(part.Name(), path), forget())
	}
	if err = errors.Join(err, done()); err != nil {
		return "", fmt.Errorf("install %s: %w", path, err)
	}
	return path, nil
}

// file is the name of a plugin's binary on this system.
func (r Requirement) file(v *goversion.Version, api string) string {
	name := "v" + v.Core().String()
	if v.Prerelease() != "" {
		name += "-" + v.Prerelease()
	}
	name = fmt.Sprintf("packer-plugin-%s_%s_%s_%s_%s", r.Name(), name, api, runtime.GOOS, runtime.GOARCH)
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return name
}

// writeSum writes a checksum. Where there was none before it is owned, as long as there is
// no binary to it, until forget is called.
func writeSum(j kiln.Journal, path, sum string) (forget func() error, err error) {
	part, done, err := kiln.NewPart(j, filepath.Dir(path), ".part-")
	if err != nil {
		return nil, err
	}
	_, err = part.WriteString(sum)
	err = errors.Join(err, part.Chmod(0o644), part.Close())
	forget = func() error { return nil }
	if _, statErr := os.Lstat(path); err == nil && j != nil && errors.Is(statErr, fs.ErrNotExist) {
		r := kiln.Resource{Kind: kiln.KindFile, ID: path}
		if r.Mark, err = kiln.Mark(part.Name()); err == nil {
			err = j.Own("", r)
		}
		forget = func() error { return j.Gone("", r) }
	}
	if err == nil {
		err = os.Rename(part.Name(), path)
	}
	return forget, errors.Join(err, done())
}
