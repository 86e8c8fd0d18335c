package download

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"kiln"
)

// maxList bounds a list of checksums: what is longer is something else.
const maxList = 16 << 20

// wanted is the checksum that a file must have: the one that is written, or the one that
// stands in a list for the file of the first source that it has one for.
func (s *Store) wanted(ctx context.Context, b *kiln.Build, r kiln.Remote, sources []*source) (sum, error) {
	if (r.Checksum == "" || r.Checksum == "none") && sources[0].sum != "" {
		r.Checksum = sources[0].sum
	}
	if len(r.Checksum) < 5 || !strings.EqualFold(r.Checksum[:5], "file:") {
		kind, digits, err := r.Sum()
		return sum{kind, digits}, err
	}
	address := r.Checksum[5:]
	if strings.HasPrefix(address, "//") {
		address = r.Checksum // it is the address of a file itself
	}
	list, err := parse(address)
	if err != nil {
		return sum{}, fmt.Errorf("checksum file: %w", err)
	}
	list.packed = ""
	text, err := s.readList(ctx, b, list)
	if err != nil {
		return sum{}, fmt.Errorf("checksum file %s: %w", list.name, err)
	}
	for _, src := range sources {
		if found, ok := find(text, src, list); ok {
			return found, nil
		}
	}
	return sum{}, kiln.Invalid("checksum", "no checksum of %s found in: %s", sources[0].base(), list.name)
}

// readList reads a list of checksums, which is loaded each time: it may have changed.
func (s *Store) readList(ctx context.Context, b *kiln.Build, list *source) ([]byte, error) {
	f := &fetch{Store: s, b: b, sources: []*source{list}}
	f.r.Target = s.lists()
	p, err := f.from(ctx, f.sources, true)
	if err != nil {
		return nil, err
	}
	in, err := os.Open(p)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, maxList+1))
	if err == nil && len(text) > maxList {
		err = errors.New("it is too long for a list of checksums")
	}
	return text, err
}

// bsdLine is a line such as SHA256 (name) = digits.
var bsdLine = regexp.MustCompile(`^([A-Za-z0-9-]+) ?\((.+)\) ?= ?([0-9A-Fa-f]+)$`)

// entry is a line of a list. Sure is false where the name may be anything.
type entry struct {
	sum
	name string
	sure bool
}

// entries reads a list of checksums in the forms of GNU, BSD, and of digits alone.
func entries(text []byte) []entry {
	var all []entry
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxList)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.ContainsAny(line[:1], "#/-") {
			continue
		}
		if m := bsdLine.FindStringSubmatch(line); m != nil {
			kind := strings.ToLower(strings.ReplaceAll(m[1], "-", ""))
			if s, ok := known(kind, m[3]); ok {
				all = append(all, entry{s, m[2], true})
			}
			continue
		}
		digits, name, _ := strings.Cut(line, " ")
		if s, ok := known("", digits); ok {
			// Before the name there is one sign that tells how the file was read.
			name = strings.TrimLeft(name, " \t")
			if name != "" && strings.ContainsRune("*?", rune(name[0])) {
				name = name[1:]
			}
			all = append(all, entry{s, name, name != "" && !strings.ContainsAny(name, " \t")})
		}
	}
	return all
}

// known is a checksum of a kind; of one that is not said the number of digits tells.
func known(kind, digits string) (sum, bool) {
	if kind != "" {
		digits = kind + ":" + digits
	}
	k, d, err := kiln.Remote{Checksum: digits}.Sum()
	if raw, hexErr := hex.DecodeString(d); err != nil || hexErr != nil || len(raw) == 0 {
		return sum{}, false
	}
	return sum{k, d}, true
}

// find is the checksum of a file in a list: of the first line that names it, else of the
// first that names no file, or one with spaces in it, which may be more than a name.
func find(text []byte, src, list *source) (sum, bool) {
	all := entries(text)
	names := namesOf(src, list)
	for _, e := range all {
		for _, name := range names {
			if e.name == name {
				return e.sum, true
			}
		}
	}
	for _, e := range all {
		if !e.sure {
			return e.sum, true
		}
	}
	full := src.full()
	for _, e := range all {
		if name := strings.TrimPrefix(e.name, "./"); name != "" && strings.Contains(full, name) {
			return e.sum, true
		}
	}
	return sum{}, false
}

// full is the whole path of a file.
func (s *source) full() string {
	if s.form == formFile {
		if abs, err := filepath.Abs(s.path); err == nil {
			return filepath.ToSlash(abs)
		}
		return filepath.ToSlash(s.path)
	}
	return s.url.Path
}

// namesOf is how a list may name a file: by its name, by its path beside the list, and by its
// whole path.
func namesOf(src, list *source) []string {
	full := src.full()
	names := []string{path.Base(full), full}
	if src.form == list.form && (src.form == formFile || src.url.Host == list.url.Host) {
		dir := path.Dir(list.full())
		if rel, ok := strings.CutPrefix(full, strings.TrimSuffix(dir, "/")+"/"); ok {
			names = append(names, rel, "./"+rel)
		} else if rel, err := filepath.Rel(dir, full); err == nil {
			names = append(names, filepath.ToSlash(rel))
		}
	}
	return append(names, "./"+path.Base(full))
}
