// Package download brings files to this machine for builds, each once: whole, checked,
// and kept for later runs. They are kept where Packer keeps them, under its names. Runs that
// want the same file at one time share one download, and one that was interrupted goes on
// where it ended.
package download

import (
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kiln"
)

// A Store is where downloads are kept, and what is known of files that were checked.
type Store struct {
	notes  string // folder of what is known
	cache  string // folder of what was downloaded
	client *http.Client
	google string        // where Google's storage is
	stall  time.Duration // a connection that brings nothing for so long is given up
	pause  time.Duration // before the second try; it doubles with each
	tries  int           // that bring nothing new, before the download fails
	age    time.Duration // of a part that is not worth keeping any more
}

// New makes a store that keeps downloads in the folder cache, where others keep theirs, and
// what it knows of files in the folder notes, which nobody else may write. Both are made
// when they are needed. Without a cache only what has a place of its own is downloaded.
func New(notes, cache string) *Store {
	return &Store{
		notes: notes, cache: cache, client: newClient(), google: googleStorage,
		stall: time.Minute, pause: 500 * time.Millisecond, tries: 8, age: 7 * 24 * time.Hour,
	}
}

// Fetch returns the path of a file with the content of r, as [kiln.Build.Fetch] says. A
// file that does not exist is [kiln.ErrNotFound], one that may not be had
// [kiln.ErrDenied]; a wrong checksum is an error that names both.
func (s *Store) Fetch(ctx context.Context, b *kiln.Build, r kiln.Remote) (string, error) {
	if filepath.Base("x"+r.Extension) != "x"+r.Extension {
		return "", kiln.Invalid("extension", "%q is not the end of a file's name", r.Extension)
	}
	f := &fetch{Store: s, b: b, r: r}
	for _, address := range append([]string{r.URL}, r.Mirrors...) {
		src, err := parse(address)
		if err != nil {
			return "", err
		}
		f.sources = append(f.sources, src)
	}
	if r.For != "" {
		b.Say("Retrieving %s", r.For)
	}
	var err error
	if f.want, err = s.wanted(ctx, b, r, f.sources); err != nil {
		return "", err
	}
	return f.run(ctx)
}

// Checksum returns what the content of r must be, as kind:digits, reading the list that its
// Checksum may name; "" where nothing is checked.
func (s *Store) Checksum(ctx context.Context, b *kiln.Build, r kiln.Remote) (string, error) {
	src, err := parse(r.URL)
	if err != nil {
		return "", err
	}
	want, err := s.wanted(ctx, b, r, []*source{src})
	return want.String(), err
}

// A fetch is one call of Fetch.
type fetch struct {
	*Store
	b       *kiln.Build
	r       kiln.Remote
	want    sum
	sources []*source
}

// run tries the sources in their order. Those on the web that must give the same content
// are one download, which goes on at one where another ends.
func (f *fetch) run(ctx context.Context) (string, error) {
	var errs []error
	for rest := f.sources; len(rest) > 0; {
		now := f.together(rest)
		last := len(now) == len(rest)
		rest = rest[len(now):]
		path, err := f.from(ctx, now, last)
		if err == nil {
			if f.r.For != "" {
				f.b.Say("%s => %s", now[0].checked(f.want), path)
			}
			return path, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
		if !last {
			f.b.Warn("Download failed %v", err)
		}
	}
	if len(errs) > 1 {
		what := cmp.Or(f.r.For, f.sources[0].base())
		return "", fmt.Errorf("error downloading %s: %w", what, errors.Join(errs...))
	}
	return "", errs[0]
}

// together is as many of the first sources as can be one download.
func (f *fetch) together(all []*source) []*source {
	n := 1
	if f.want.kind == "" || !all[0].web() {
		return all[:1]
	}
	for n < len(all) && all[n].web() && all[n].packed == all[0].packed {
		n++
	}
	return all[:n]
}

// web reports whether a source is asked by HTTP, whoever is behind it.
func (s *source) web() bool { return s.form == formHTTP || s.form == formS3 || s.form == formGCS }

func (f *fetch) from(ctx context.Context, sources []*source, last bool) (string, error) {
	src := sources[0]
	if src.form == formFile && src.packed == "" {
		f.trying(src)
		return f.local(ctx, f.b, src.path, f.want)
	}
	target, err := f.place(src)
	if err != nil {
		return "", err
	}
	if src.form == formFile {
		f.trying(src)
		return f.unpackLocal(ctx, src, target)
	}
	l := &load{fetch: f, target: target, packed: src.packed, patient: last}
	for _, src := range sources {
		w, err := f.way(ctx, src)
		if err != nil {
			return "", err
		}
		l.ways = append(l.ways, w)
	}
	return l.fetchOnce(ctx)
}

// trying says what is tried, as Packer does.
func (f *fetch) trying(src *source) {
	if f.r.For != "" {
		f.b.Say("Trying %s", src.name)
		f.b.Say("Trying %s", src.checked(f.want))
	}
}

// place is where a file is to be: where the template says, or in the cache, under the name
// that it has there with Packer.
func (f *fetch) place(src *source) (string, error) {
	by := f.want.String()
	if by == "" {
		by = src.text
	}
	name := fmt.Sprintf("%x", sha1.Sum([]byte(by)))
	if f.r.Extension != "" {
		name += "." + strings.TrimPrefix(f.r.Extension, ".")
	}
	switch {
	case f.r.Target != "" && filepath.Ext(f.r.Target) != "":
		return filepath.Abs(f.r.Target)
	case f.r.Target != "":
		return filepath.Abs(filepath.Join(f.r.Target, name))
	case f.cache == "":
		_, err := kiln.CacheDir()
		return "", errors.Join(errors.New("there is no folder for downloads"), err)
	}
	return filepath.Join(f.cache, name), nil
}

func digest(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// local checks a file of this machine, which is used where it is.
func (s *Store) local(ctx context.Context, b *kiln.Build, path string, want sum) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", err
	case info.IsDir():
		return "", fmt.Errorf("%s is a folder, not a file: %w", path, kiln.ErrInvalid)
	case want.kind == "":
		return path, nil
	}
	return path, s.check(ctx, b, path, want)
}

// unpackLocal unpacks a file of this machine to where downloads are, unless that was done.
func (f *fetch) unpackLocal(ctx context.Context, src *source, target string) (string, error) {
	path, err := f.local(ctx, f.b, src.path, f.want)
	if err != nil {
		return "", err
	}
	from, err := kiln.Mark(path)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(target), 0o755)
	}
	if err != nil {
		return "", err
	}
	l := &load{fetch: f, target: target, packed: src.packed}
	unlock, err := l.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	n := f.read(target, f.want)
	if mark, err := kiln.Mark(target); err == nil && n.Mark == mark && n.Source == from {
		return target, nil
	}
	return target, l.unpack(ctx, path, notes{Source: from})
}
