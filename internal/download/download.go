// Package download brings files to this machine for builds, each once: whole, checked,
// and kept for later runs. Runs that want the same file at one time share one download,
// and one that was interrupted goes on where it ended.
package download

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"kiln/driver/lock"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"kiln"
)

// A Store is a folder of files that were downloaded. What stands in it directly is
// whole, and checked where a checksum was given; parts, locks and notes are in a folder
// of their own within it.
type Store struct {
	dir    string
	client *http.Client
	stall  time.Duration // a connection that brings nothing for so long is given up
	pause  time.Duration // before the second try; it doubles with each
	tries  int           // that bring nothing new, before the download fails
	age    time.Duration // of a part that is not worth keeping any more
}

// New makes a store in a folder, which is made when it is needed.
func New(dir string) *Store {
	return &Store{
		dir: dir, client: newClient(),
		stall: time.Minute, pause: 500 * time.Millisecond, tries: 8, age: 7 * 24 * time.Hour,
	}
}

// Fetch returns the path of a file with the content of r, as [kiln.Build.Fetch] says. A
// file that does not exist is [kiln.ErrNotFound], one that may not be had
// [kiln.ErrDenied]; a wrong checksum is an error that names both.
func (s *Store) Fetch(ctx context.Context, b *kiln.Build, r kiln.Remote) (string, error) {
	var want sum
	var err error
	if want.kind, want.digits, err = r.Sum(); err != nil {
		return "", err
	}
	if filepath.Base("x"+r.Extension) != "x"+r.Extension {
		return "", kiln.Invalid("extension", "%q is not the end of a file's name", r.Extension)
	}
	if r.Target != "" {
		return "", kiln.Invalid("target", "a place for what is downloaded (%s) cannot be given in this version", r.Target)
	}
	if r.For != "" {
		b.Say("Retrieving %s", r.For)
	}
	var errs []error
	for _, address := range append([]string{r.URL}, r.Mirrors...) {
		path, err := s.from(ctx, b, r, address, want)
		if err == nil {
			return path, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
		if len(r.Mirrors) > 0 {
			b.Warn("Download failed %v", err)
		}
	}
	return "", errors.Join(errs...)
}

// from gets the file from one address.
func (s *Store) from(ctx context.Context, b *kiln.Build, r kiln.Remote, address string, want sum) (string, error) {
	u, path, err := source(address)
	if err != nil {
		return "", err
	}
	name := path
	if u != nil {
		name = shown(u)
		if password, ok := u.User.Password(); ok {
			b.Hide(password)
		}
	}
	checked := name
	if want.kind != "" {
		checked += "?checksum=" + url.QueryEscape(want.kind+":"+want.digits)
	}
	if r.For != "" {
		b.Say("Trying %s", name)
		b.Say("Trying %s", checked)
	}
	if u == nil {
		path, err = s.local(ctx, b, path, want)
	} else {
		l := &load{Store: s, b: b, url: u, want: want, key: key(u, want, r.Extension)}
		if path, err = l.fetch(ctx); err != nil {
			err = fmt.Errorf("download %s: %w", name, err)
		}
	}
	if err == nil && r.For != "" {
		b.Say("%s => %s", checked, path)
	}
	return path, err
}

// source finds out where a file is: at an address, or at a path of this machine.
func source(text string) (*url.URL, string, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	switch {
	case text == "":
		return nil, "", kiln.Invalid("url", "there is no address to download from")
	case !ok:
		// A plain path, be it with a drive's letter.
		return nil, strings.TrimPrefix(text, "file:"), nil
	case strings.Contains(scheme, "::"):
		return nil, "", kiln.Invalid("url", "%s: downloads by %s are not in this version", text, scheme)
	}
	scheme = strings.ToLower(scheme)
	u, err := url.Parse(scheme + "://" + rest)
	switch {
	case err != nil:
		return nil, "", kiln.Invalid("url", "invalid address of a download: %v", withoutURL(err))
	case scheme == "file":
		path, err := localPath(u)
		return nil, path, err
	case scheme != "http" && scheme != "https":
		return nil, "", kiln.Invalid(
			"url",
			"downloads by %s are not in this version: use http, https or a file",
			scheme,
		)
	case u.Host == "":
		return nil, "", kiln.Invalid("url", "%q names no host", shown(u))
	}
	return u, "", nil
}

// localPath is the path that a file address means.
func localPath(u *url.URL) (string, error) {
	path := u.Path
	switch u.Host {
	case "", "localhost":
	case ".", "..":
		path = u.Host + path
	default:
		return "", kiln.Invalid("url", "%s names a file on another machine", u)
	}
	if runtime.GOOS == "windows" && len(path) > 2 && path[0] == '/' && path[2] == ':' {
		path = path[1:]
	}
	return filepath.FromSlash(path), nil
}

// shown is an address as it may be read by everybody: what stands before the host or
// behind the path may be a secret.
func shown(u *url.URL) string {
	plain := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return plain.String()
}

// key names a content: by its checksum, or where there is none by its address.
func key(u *url.URL, want sum, extension string) string {
	name := want.kind + "-" + want.digits
	if want.kind == "" {
		name = "url-" + digest(u.String())
	}
	if extension != "" {
		name += "." + strings.TrimPrefix(extension, ".")
	}
	return name
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// notes is what is known of a file or a part.
type notes struct {
	Source       string `json:"source,omitempty"` // digest of the address, which may hold a secret
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	Total        int64  `json:"total,omitempty"` // bytes of the whole; 0: not known
	Mark         string `json:"mark,omitempty"`  // of the file that was found to be right
}

func (s *Store) path(key string) string        { return filepath.Join(s.dir, key) }
func (s *Store) aside(key, kind string) string { return filepath.Join(s.dir, ".parts", key+"."+kind) }
func (s *Store) write(key string, n notes) error {
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return kiln.WriteFile(s.aside(key, "json"), text, 0o600)
}

// read reads notes. What cannot be read is not known.
func (s *Store) read(key string) (n notes) {
	text, err := os.ReadFile(s.aside(key, "json"))
	if err != nil || json.Unmarshal(text, &n) != nil {
		return notes{}
	}
	return n
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
	if err := os.MkdirAll(filepath.Join(s.dir, ".parts"), 0o700); err != nil {
		return "", err
	}
	key := "local-" + digest(path) + "-" + want.kind + "-" + want.digits
	return path, s.check(ctx, b, path, key, want)
}

// check compares a file with its checksum. A file that has not changed since it was
// found to be right is not read again.
func (s *Store) check(ctx context.Context, b *kiln.Build, path, key string, want sum) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	mark, err := kiln.Mark(target)
	if err != nil {
		return err
	}
	n := s.read(key)
	if n.Mark == mark {
		return nil
	}
	begin := time.Now()
	got, err := want.of(ctx, b, path)
	if err != nil {
		return err
	}
	if got != want.digits {
		return want.mismatch(path, got)
	}
	// A file that was written just now might be written again within the same tick of
	// its clock: its mark does not tell then.
	if info, err := os.Stat(path); err != nil || begin.Sub(info.ModTime()) < 2*time.Second {
		return err
	}
	n.Mark = mark
	return s.write(key, n)
}

// sweep removes parts that are too old to be gone on with, and notes on what is no
// longer there. What it cannot remove costs room and nothing else.
func (s *Store) sweep() {
	entries, err := os.ReadDir(filepath.Join(s.dir, ".parts"))
	if err != nil {
		return
	}
	for _, e := range slices.Backward(entries) { // a part before its notes
		kind := filepath.Ext(e.Name())
		key := strings.TrimSuffix(e.Name(), kind)
		info, err := e.Info()
		if err != nil || kind == ".lock" || time.Since(info.ModTime()) < s.age {
			continue
		}
		if kind == ".json" && (exists(s.path(key)) || exists(s.aside(key, "part"))) {
			continue
		}
		unlock, ok := tryLock(s.aside(key, "lock"))
		if !ok {
			continue // somebody is at it
		}
		_ = os.Remove(filepath.Join(s.dir, ".parts", e.Name()))
		unlock()
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// tryLock locks a file without waiting.
func tryLock(path string) (unlock func(), ok bool) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false
	}
	if ok, err := lock.Try(f); !ok || err != nil {
		f.Close()
		return nil, false
	}
	return func() { f.Close() }, true
}

// lock waits until nobody else is loading the same content.
func (l *load) lock(ctx context.Context) (unlock func(), err error) {
	path := l.aside(l.key, "lock")
	if unlock, ok := tryLock(path); ok {
		return unlock, nil
	}
	l.b.Say("Waiting for another download of %s...", l.name())
	return lock.File(ctx, path)
}
