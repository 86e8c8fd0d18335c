package httpd

import (
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// folder serves what is below a folder. Links are followed, also those that lead out of
// it: who made them meant them. No path of a request leads out of it.
type folder string

// newFolder serves a folder, which stays the same wherever the program works.
func newFolder(dir string) (http.Handler, error) {
	abs, err := filepath.Abs(dir)
	return http.FileServer(folder(abs)), err
}

// Open opens a file or a folder. What is neither would keep the request for ever, as a
// pipe without a writer does.
func (f folder) Open(name string) (http.File, error) {
	full := filepath.Join(string(f), filepath.FromSlash(path.Clean("/"+name)))
	if info, err := os.Stat(full); err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	return http.Dir(f).Open(name)
}

// texts serves texts by their paths.
type texts map[string]string

// clean puts paths into the form in which requests are looked up.
func clean(content map[string]string) map[string]string {
	all := map[string]string{}
	// The order is that of the names, so that of two that come to the same one always the same wins.
	for _, name := range slices.Sorted(maps.Keys(content)) {
		all[path.Clean("/"+name)] = content[name]
	}
	return all
}

func (t texts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := path.Clean("/" + r.URL.Path)
	text, ok := t[name]
	if !ok {
		message := name + " not found."
		if near := t.near(name); near != "" {
			message += fmt.Sprintf(" Did you mean %q?", near)
		}
		http.Error(w, message, http.StatusNotFound)
		return
	}
	http.ServeContent(w, r, path.Base(name), time.Time{}, strings.NewReader(text))
}

// nearEnough is how many letters a path may be wrong in to be taken for a slip.
const nearEnough = 3

// longest bounds what is compared, as a request may be of any length.
const longest = 1000

// near is the path that was most likely meant; "": none.
func (t texts) near(name string) (best string) {
	if len(name) > longest {
		return ""
	}
	least := nearEnough + 1
	for _, known := range slices.Sorted(maps.Keys(t)) {
		if len(known) > longest {
			continue
		}
		if d := distance(name, known); d < least {
			best, least = known, d
		}
	}
	return best
}

// distance is the number of letters to add, remove or change to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		above := row[0] // left of what stood above
		row[0] = i + 1
		for j := range len(b) {
			change := above
			if a[i] != b[j] {
				change++
			}
			above = row[j+1]
			row[j+1] = min(change, above+1, row[j]+1)
		}
	}
	return row[len(b)]
}
