// Package outside is how templates see what is not in them: files, folders, the
// environment, random values. What was asked is noted, so that another process can
// give the same answers.
package outside

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/bmatcuk/doublestar/v4"
)

// MaxSize bounds a file: one that is larger is not part of a template.
const MaxSize = 64 << 20

// Notes are questions that were asked, with their answers, as data.
type Notes struct {
	Files   []File              `json:"files,omitempty"`
	Answers map[string]Answer   `json:"answers,omitempty"`
	Made    map[string][]string `json:"made,omitempty"` // random values and times, by what was evaluated
	Cwd     string              `json:"cwd"`            // absolute
}

// File is a file that was read.
type File struct {
	Path   string `json:"path"` // as it was asked for
	Text   []byte `json:"text,omitempty"`
	SHA256 string `json:"sha256"`
	Secret bool   `json:"secret,omitempty"` // it holds a secret: the text is not kept, and read again
}

// Answer is the answer to another question.
type Answer struct {
	Text    string `json:"text,omitempty"`
	Err     string `json:"error,omitempty"`
	Missing bool   `json:"missing,omitempty"` // the error is that there is no such file
	Secret  bool   `json:"secret,omitempty"`  // it is a secret: it is asked for again
}

// World answers questions, from notes where it has them.
type World struct {
	mu     sync.Mutex
	in     string   // what is evaluated at present
	counts int      // values made for it so far
	notes  Notes    // of this process
	given  *Notes   // of another one; nil: none
	files  []string // paths in notes, in order
	texts  map[string]File
	before map[string]File // of given
}

// New is a world that asks the machine.
func New() *World {
	w := &World{notes: Notes{Answers: map[string]Answer{}, Made: map[string][]string{}},
		texts: map[string]File{}}
	w.notes.Cwd, _ = os.Getwd()
	return w
}

// Again is a world that answers from notes. What these do not have is asked of the
// machine.
func Again(n *Notes) *World {
	w := New()
	w.given, w.before, w.notes.Cwd = n, map[string]File{}, n.Cwd
	for _, f := range n.Files {
		w.before[f.Path] = f
	}
	return w
}

// Notes are all notes so far. What secret reports true of is not in them.
func (w *World) Notes(secret func(text string) bool) Notes {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := Notes{Answers: map[string]Answer{}, Made: map[string][]string{}, Cwd: w.notes.Cwd}
	for _, path := range w.files {
		f := w.texts[path]
		if f.Secret = secret(string(f.Text)); f.Secret {
			f.Text = nil
		}
		out.Files = append(out.Files, f)
	}
	for q, a := range w.notes.Answers {
		if secret(q) && !w.ofFile(q) {
			continue // it was made of a secret
		}
		if secret(a.Text) || secret(a.Err) {
			a = Answer{Secret: true}
		}
		out.Answers[q] = a
	}
	for in, values := range w.notes.Made {
		if !slices.ContainsFunc(values, secret) {
			out.Made[in] = values
		}
	}
	return out
}

// ofFile reports whether a question is about a file that was read, or its folder: its
// name may be a secret's word by chance, and the notes must do without the file.
func (w *World) ofFile(question string) bool {
	return slices.ContainsFunc(w.files, func(path string) bool {
		return strings.HasSuffix(question, " "+path) || strings.HasSuffix(question, " "+filepath.Dir(path))
	})
}

// ReadFile reads a file. One that held a secret is read again, and must not have
// changed.
func (w *World) ReadFile(path string) ([]byte, error) {
	if f, ok := w.before[path]; ok {
		if !f.Secret {
			return w.noteFile(path, f.Text), nil
		}
		text, err := Supply(w.at(path))
		if err == nil && digest(text) != f.SHA256 {
			err = fmt.Errorf("%s has changed since the plan was made", path)
		}
		if err != nil {
			return nil, err
		}
		return w.noteFile(path, text), nil
	}
	if w.given != nil {
		if a, ok := w.given.Answers["read "+path]; ok {
			w.note("read "+path, a)
			return nil, a.error()
		}
	}
	text, err := Supply(w.at(path))
	if err != nil {
		w.note("read "+path, answer("", err))
		return nil, err
	}
	return w.noteFile(path, text), nil
}

// Input notes text that came from standard input, or takes it from the notes.
func (w *World) Input(name string, read func() ([]byte, error)) ([]byte, error) {
	if f, ok := w.before[name]; ok {
		if f.Secret {
			return nil, fmt.Errorf("%s holds a secret and cannot be read again", name)
		}
		return w.noteFile(name, f.Text), nil
	}
	text, err := read()
	if err != nil {
		return nil, err
	}
	return w.noteFile(name, text), nil
}

func (w *World) noteFile(path string, text []byte) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.texts[path]; !ok {
		w.files = append(w.files, path)
		w.texts[path] = File{Path: path, Text: text, SHA256: digest(text)}
	}
	return text
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Supply reads a file that belongs to this process and is not noted.
func Supply(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err == nil && len(text) > MaxSize {
		err = fmt.Errorf("%s: larger than %d MiB is no template", path, MaxSize>>20)
	}
	return text, err
}

// at is where a path leads: relative ones begin at the noted working directory.
func (w *World) at(path string) string {
	if w.given == nil || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(w.notes.Cwd, path)
}

// ask answers a question from the notes, or finds the answer and notes it.
func (w *World) ask(question string, find func() (string, error)) (string, error) {
	if w.given != nil {
		if a, ok := w.given.Answers[question]; ok && !a.Secret {
			w.note(question, a)
			return a.Text, a.error()
		}
	}
	text, err := find()
	w.note(question, answer(text, err))
	return text, err
}

func answer(text string, err error) Answer {
	if err != nil {
		return Answer{Err: err.Error(), Missing: errors.Is(err, fs.ErrNotExist)}
	}
	return Answer{Text: text}
}

func (w *World) note(question string, a Answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes.Answers[question] = a
}

func (a Answer) error() error {
	switch {
	case a.Err == "":
		return nil
	case a.Missing:
		return &missing{a.Err}
	}
	return errors.New(a.Err)
}

// missing is the error of a file that did not exist.
type missing struct{ text string }

func (e *missing) Error() string        { return e.text }
func (e *missing) Is(target error) bool { return target == fs.ErrNotExist }

// Mode is the kind of a file.
func (w *World) Mode(path string) (fs.FileMode, error) {
	var mode fs.FileMode
	text, err := w.ask("mode "+path, func() (string, error) {
		info, err := os.Stat(w.at(path))
		if err != nil {
			return "", err
		}
		return fmt.Sprint(uint32(info.Mode())), nil
	})
	if err == nil {
		_, err = fmt.Sscan(text, (*uint32)(&mode))
	}
	return mode, err
}

// Dir lists the names of the files directly in a folder that end as given, sorted.
func (w *World) Dir(dir, suffix string) ([]string, error) {
	return w.list("list "+suffix+" "+dir, func() (names []string, err error) {
		entries, err := os.ReadDir(w.at(dir))
		for _, e := range entries {
			if !e.IsDir() && strings.HasSuffix(e.Name(), suffix) {
				names = append(names, e.Name())
			}
		}
		slices.Sort(names)
		return names, err
	})
}

// Glob lists the regular files below a folder that a pattern fits.
func (w *World) Glob(root, pattern string) ([]string, error) {
	return w.list("glob "+pattern+" "+root, func() (names []string, err error) {
		matches, err := doublestar.Glob(os.DirFS(w.at(root)), pattern, doublestar.WithFilesOnly())
		for _, m := range matches {
			if info, err := os.Stat(filepath.Join(w.at(root), m)); err == nil && info.Mode().IsRegular() {
				names = append(names, m)
			}
		}
		return names, err
	})
}

func (w *World) list(question string, find func() ([]string, error)) (names []string, err error) {
	text, err := w.ask(question, func() (string, error) {
		names, err := find()
		if err != nil {
			return "", err
		}
		text, err := json.Marshal(names)
		return string(text), err
	})
	if err != nil {
		return nil, err
	}
	return names, json.Unmarshal([]byte(text), &names)
}

// Folder is the absolute path of a folder, without links.
func (w *World) Folder(path string) (string, error) {
	return w.ask("folder "+path, func() (string, error) {
		abs, err := filepath.EvalSymlinks(w.at(path))
		if err == nil {
			abs, err = filepath.Abs(abs)
		}
		if err != nil {
			return "", err
		}
		info, err := os.Stat(abs)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is no folder", path)
		}
		return abs, err
	})
}

// Cwd is the working directory.
func (w *World) Cwd() string { return w.notes.Cwd }

// Abs is an absolute path.
func (w *World) Abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(w.notes.Cwd, path)
}

// Home is the user's home folder.
func (w *World) Home() (string, error) { return w.ask("home", os.UserHomeDir) }

// Env is a value of the environment, of which environ is this process's.
func (w *World) Env(name string, environ []string) string {
	text, _ := w.ask("env "+name, func() (string, error) { return Lookup(environ, name), nil })
	return text
}

// Lookup is the last value that a list of name=value has.
func Lookup(environ []string, name string) string {
	for _, kv := range slices.Backward(environ) {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// In evaluates something. Values that are made meanwhile belong to it, so that they
// can be given again in whatever order things are evaluated. Values that are made
// outside of it are not noted.
func (w *World) In(name string, evaluate func()) {
	w.mu.Lock()
	in, counts := w.in, w.counts
	w.in, w.counts = name, 0
	w.mu.Unlock()
	evaluate()
	w.mu.Lock()
	w.in, w.counts = in, counts
	w.mu.Unlock()
}

// Make is a random value or the time, made once.
func (w *World) Make(value func() string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.in == "" {
		return value()
	}
	if w.counts == 0 {
		w.notes.Made[w.in] = nil // it is evaluated anew
	}
	var text string
	if w.given != nil && w.counts < len(w.given.Made[w.in]) {
		text = w.given.Made[w.in][w.counts]
	} else {
		text = value()
	}
	w.counts++
	w.notes.Made[w.in] = append(w.notes.Made[w.in], text)
	return text
}
