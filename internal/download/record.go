package download

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kiln"
	"kiln/driver/lock"
)

// notes is what is known of a file, or of the part of one.
type notes struct {
	Path         string `json:"path"`             // of the file
	Source       string `json:"source,omitempty"` // digest of the address, which may hold a secret
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	Total        int64  `json:"total,omitempty"` // bytes of the whole; 0: not known
	Mark         string `json:"mark,omitempty"`  // of the file that was found to be right
}

// maxNotes is how many files are known at most, and oldNotes how long one is known that
// nobody asks for.
const (
	maxNotes = 1000
	oldNotes = 180 * 24 * time.Hour
)

// note is where it stands what is known of a file as one with a checksum.
func (s *Store) note(path string, want sum) string {
	return filepath.Join(s.notes, digest(path+"\x00"+want.String())+".json")
}

func (s *Store) write(path string, want sum, n notes) error {
	n.Path = path
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.notes, 0o700); err != nil {
		return err
	}
	return kiln.WriteFile(s.note(path, want), text, 0o600)
}

// read reads notes. What cannot be read is not known.
func (s *Store) read(path string, want sum) (n notes) {
	text, err := os.ReadFile(s.note(path, want))
	if err != nil || json.Unmarshal(text, &n) != nil || n.Path != path {
		return notes{}
	}
	return n
}

// used keeps notes from growing old.
func (s *Store) used(path string, want sum) {
	note := s.note(path, want)
	if info, err := os.Stat(note); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
		now := time.Now()
		_ = os.Chtimes(note, now, now) // at worst the file is read once more
	}
}

// stripes is how many files may be checked at one time.
const stripes = 32

// check compares a file with its checksum. A file that has not changed since it was found
// to be right is not read again, and one that another build reads is waited for.
func (s *Store) check(ctx context.Context, b *kiln.Build, path string, want sum) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	known := func() (string, bool, error) {
		mark, err := kiln.Mark(target)
		return mark, err == nil && s.read(path, want).Mark == mark, err
	}
	if _, ok, err := known(); ok || err != nil {
		s.used(path, want)
		return err
	}
	if err := os.MkdirAll(s.notes, 0o700); err != nil {
		return err
	}
	stripe := fmt.Sprintf("check-%02d.lock", int(digest(path)[0])%stripes)
	unlock, err := lock.File(ctx, filepath.Join(s.notes, stripe))
	if err != nil {
		return err
	}
	defer unlock()
	mark, ok, err := known()
	if ok || err != nil {
		return err
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
	n := s.read(path, want)
	n.Mark = mark
	return s.write(path, want, n)
}

// sweep removes parts that are too old to be gone on with, and notes on what is no longer
// there or was not asked for in a long time. What it cannot remove costs room and nothing
// else.
func (s *Store) sweep() {
	entries, err := os.ReadDir(s.notes)
	if err != nil {
		return
	}
	type known struct {
		note string
		used time.Time
	}
	var all []known
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || filepath.Ext(e.Name()) != ".json" {
			continue
		}
		note := filepath.Join(s.notes, e.Name())
		if s.outdated(note, time.Since(info.ModTime())) {
			_ = os.Remove(note)
			continue
		}
		all = append(all, known{note, info.ModTime()})
	}
	s.sweepLists()
	if len(all) <= maxNotes {
		return
	}
	slices.SortFunc(all, func(a, b known) int { return b.used.Compare(a.used) })
	for _, k := range all[maxNotes:] {
		_ = os.Remove(k.note)
	}
}

// lists is the folder of lists of checksums, which are loaded each time.
func (s *Store) lists() string { return filepath.Join(s.notes, "lists") }

// sweepLists removes lists that nobody asks for. Their locks are empty, and stay: removing a
// lock would race.
func (s *Store) sweepLists() {
	entries, err := os.ReadDir(s.lists())
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && filepath.Ext(e.Name()) != lockSuffix && time.Since(info.ModTime()) > s.age {
			_ = os.Remove(filepath.Join(s.lists(), e.Name()))
		}
	}
}

// outdated reports whether notes of an age are of no more use, and removes the part that
// they are of.
func (s *Store) outdated(note string, age time.Duration) bool {
	if age < s.age {
		return false
	}
	var n notes
	text, err := os.ReadFile(note)
	if err != nil || json.Unmarshal(text, &n) != nil || !filepath.IsAbs(n.Path) {
		return true
	}
	if part := n.Path + partSuffix; exists(part) {
		unlock, ok := tryLock(n.Path + lockSuffix)
		if !ok {
			return false // somebody is at it
		}
		defer unlock()
		if os.Remove(part) != nil {
			return false
		}
	}
	return age > oldNotes || !exists(n.Path)
}

// What stands behind the name of a file: the lock is Packer's, the part is ours.
const (
	lockSuffix = ".lock"
	partSuffix = ".kiln-part"
)

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil || !errors.Is(err, fs.ErrNotExist) && !strings.Contains(path, "\x00")
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

// lock waits until nobody else is loading the same file.
func (l *load) lock(ctx context.Context) (unlock func(), err error) {
	path := l.target + lockSuffix
	if unlock, ok := tryLock(path); ok {
		return unlock, nil
	}
	l.b.Say("Waiting for another download of %s...", l.name())
	return lock.File(ctx, path)
}
