// Package journal is the append-only record of what each build owns outside the
// process. A resource is written down before it is made and struck off when it
// is gone or belongs to an artifact, so that after a crash at any moment
// [Clean] can destroy all that a run made, and nothing else.
//
// There is one file a run, made when the first resource is owned and locked for
// as long as the run lives. A run that ends with nothing owned removes its file.
package journal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"kiln"
	"kiln/driver/lock"
)

// Operations of a record.
const (
	opRun     = "run"     // first line: which process this is
	opOwn     = "own"     // about to be made
	opGone    = "gone"    // destroyed
	opRelease = "release" // belongs to an artifact now
)

type record struct {
	Op       string         `json:"op"`
	Time     time.Time      `json:"time"`
	Build    string         `json:"build,omitempty"`
	Resource *kiln.Resource `json:"resource,omitempty"`
	PID      int            `json:"pid,omitempty"`
	Template string         `json:"template,omitempty"`
	Temp     string         `json:"temp,omitempty"` // folder for temporary files
}

// Journal is the record of one run. Its methods may be called side by side.
type Journal struct {
	dir, run, template string

	mu   sync.Mutex
	file *os.File
	torn bool // the last line was cut off
	open []Entry
}

// Entry is a resource that a build owns.
type Entry struct {
	Build    string
	Resource kiln.Resource
	Since    time.Time
}

// New prepares the journal of a run in a folder. Nothing is written yet.
func New(dir, run, template string) *Journal {
	return &Journal{dir: dir, run: run, template: template}
}

// Own writes down that a build is about to make r and returns when the record is
// on disk.
func (j *Journal) Own(build string, r kiln.Resource) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.start(); err != nil {
		return err
	}
	now := time.Now()
	if err := j.write(record{Op: opOwn, Time: now, Build: build, Resource: &r}, true); err != nil {
		return err
	}
	j.open = append(j.open, Entry{build, r, now})
	return nil
}

// Gone strikes off what was destroyed. A record lost here costs little: cleaning up
// finds it absent.
func (j *Journal) Gone(build string, r kiln.Resource) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	_ = j.write(record{Op: opGone, Time: time.Now(), Build: build, Resource: &r}, false)
	j.forget(r)
	return nil
}

// Release strikes off what belongs to an artifact now, all of it at once: after a
// crash either all is released or nothing is.
func (j *Journal) Release(build string, all ...kiln.Resource) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil || len(all) == 0 {
		return nil
	}
	var lines []byte
	for _, r := range all {
		line, err := json.Marshal(record{Op: opRelease, Time: time.Now(), Build: build, Resource: &r})
		if err != nil {
			return err
		}
		lines = append(append(lines, line...), '\n')
	}
	if err := j.append(lines, true); err != nil {
		return err
	}
	for _, r := range all {
		j.forget(r)
	}
	return nil
}

func (j *Journal) forget(r kiln.Resource) {
	for i, e := range j.open {
		if e.Resource.Same(r) {
			j.open = append(j.open[:i:i], j.open[i+1:]...)
			return
		}
	}
}

// Open lists what is owned now, oldest first.
func (j *Journal) Open() []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]Entry(nil), j.open...)
}

// Close ends the run. Its file is removed if nothing is owned any more.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	var err error
	if len(j.open) == 0 {
		err = removeAndClose(j.file)
	} else {
		err = j.file.Close()
	}
	j.file = nil
	return err
}

// Crash ends the journal as the death of its process does: what is open stays written
// down, and another process may clean up. It is for tests.
func (j *Journal) Crash() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file != nil {
		j.file.Close()
		j.file = nil
	}
}

// startTime bounds the wait for a clean-up that looks at the file of a run that begins.
const startTime = 10 * time.Second

func (j *Journal) start() error {
	if j.file != nil {
		return nil
	}
	f, err := j.create()
	if err != nil {
		return err
	}
	j.file = f
	return j.write(record{Op: opRun, Time: time.Now(), PID: os.Getpid(), Template: j.template, Temp: temp()}, false)
}

// temp is the folder in which builds make temporary ones.
func temp() string {
	dir, err := filepath.Abs(os.TempDir())
	if err != nil {
		return ""
	}
	return dir
}

// create makes the file and locks it. Between the two a clean-up may take it for that of
// a run that is dead and owned nothing, and remove it: then it is made again.
func (j *Journal) create() (*os.File, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	path := filepath.Join(j.dir, j.run+".jsonl")
	for {
		if err := os.MkdirAll(j.dir, 0o700); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
		if errors.Is(err, os.ErrNotExist) && ctx.Err() == nil {
			continue // the folder was removed, as it was empty
		}
		if err != nil {
			return nil, err
		}
		if err := lock.Wait(ctx, f); err != nil {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		if stillAt(f, path) {
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

// stillAt reports whether path names the file that is open. What is locked and stands
// there is removed by nobody else.
func stillAt(f *os.File, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(mine, there)
}

func (j *Journal) write(r record, sync bool) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return j.append(append(line, '\n'), sync)
}

// append writes lines, and with sync returns when they are on disk. A line that was cut
// off, as on a full disk, must not swallow the next one.
func (j *Journal) append(lines []byte, sync bool) error {
	if j.torn {
		lines = slices.Concat([]byte("\n"), lines)
	}
	n, err := j.file.Write(lines)
	if n > 0 {
		j.torn = err != nil
	}
	if err != nil {
		return err // it names the file
	}
	if sync {
		return j.file.Sync()
	}
	return nil
}

func hold(f *os.File) error {
	mine, err := lock.Try(f)
	if err == nil && !mine {
		return fmt.Errorf("%s: %w: another process uses it", f.Name(), kiln.ErrConflict)
	}
	return err
}

// Run is what the journal knows of one run.
type Run struct {
	ID       string
	Template string
	Temp     string // the folder in which it made temporary ones
	PID      int
	Started  time.Time
	Live     bool    // its process still runs
	Open     []Entry // owned and neither gone nor released, oldest first
	// Seen is one resource for each owner and place that the run had to do with,
	// for finding what was made without a record.
	Seen []Entry

	path string
}

// Runs reads all journals of a folder, oldest first. A journal that cannot be
// read is an error next to the runs that can.
func Runs(dir string) ([]Run, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return nil, err
	}
	sort.Strings(names)
	var runs []Run
	var errs []error
	for _, name := range names {
		run, err := read(name)
		switch {
		case errors.Is(err, os.ErrNotExist): // ended in the meantime
		case err != nil:
			errs = append(errs, err)
		default:
			runs = append(runs, run)
		}
	}
	return runs, errors.Join(errs...)
}

// openMine opens a journal, and refuses that of another user: it would say what is
// destroyed.
func openMine(path string) (*os.File, error) {
	// Whose it is is said also where it may not be opened.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := kiln.CheckOwner(path, info); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil {
		err = kiln.CheckOwner(path, info)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func read(path string) (Run, error) {
	f, err := openMine(path)
	if err != nil {
		return Run{}, err
	}
	defer f.Close()
	run, err := replay(f)
	if err != nil {
		return run, fmt.Errorf("read journal %s: %w", path, err)
	}
	run.ID, run.path = strings.TrimSuffix(filepath.Base(path), ".jsonl"), path
	run.Live = hold(f) != nil
	return run, nil
}

// replay reads records. A line that is torn or strange is passed over: the
// record of what was being written when the process died, whose resource was not
// yet made.
func replay(r io.Reader) (Run, error) {
	var run Run
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		var rec record
		if len(bytes.TrimSpace(line)) > 0 && json.Unmarshal(line, &rec) == nil {
			run.apply(rec)
		}
		if err == io.EOF {
			return run, nil
		}
		if err != nil {
			return run, err
		}
	}
}

func (run *Run) apply(rec record) {
	switch rec.Op {
	case opRun:
		run.PID, run.Template, run.Started, run.Temp = rec.PID, rec.Template, rec.Time, rec.Temp
	case opOwn:
		if rec.Resource == nil {
			return
		}
		run.Open = append(run.Open, Entry{rec.Build, *rec.Resource, rec.Time})
		for _, s := range run.Seen {
			if s.Build == rec.Build && s.Resource.Owner == rec.Resource.Owner &&
				maps.Equal(s.Resource.Attrs, rec.Resource.Attrs) {
				return
			}
		}
		run.Seen = append(run.Seen, Entry{rec.Build, *rec.Resource, rec.Time})
	case opGone, opRelease:
		if rec.Resource == nil {
			return
		}
		for i, e := range run.Open {
			if e.Resource.Same(*rec.Resource) {
				run.Open = append(run.Open[:i:i], run.Open[i+1:]...)
				return
			}
		}
	}
}
