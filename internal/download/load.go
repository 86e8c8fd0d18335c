package download

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"kiln"
)

// A load is one download. Its part belongs to no build: it stays for the next one that
// wants the same content, and goes with age.
type load struct {
	*Store
	b    *kiln.Build
	url  *url.URL
	want sum
	key  string

	part    *os.File
	hash    hash.Hash // of the part
	size    int64     // of the part
	notes   notes
	told    progress
	resumed bool // some of the part is of an earlier request
	noRange bool // what was resumed came out wrong: only the whole in one request will do
	kept    bool // the file that was loaded earlier is still what the server has
}

// name is what the file is called in messages.
func (l *load) name() string {
	if name := path.Base(l.url.Path); name != "/" && name != "." {
		return name
	}
	return l.url.Host
}

// fetch returns the path of the file in the store, loading it where it is not there.
func (l *load) fetch(ctx context.Context) (string, error) {
	if err := os.MkdirAll(filepath.Join(l.dir, ".parts"), 0o700); err != nil {
		return "", err
	}
	l.sweep()
	unlock, err := l.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	final := l.path(l.key)
	if l.want.kind != "" {
		err := l.check(ctx, l.b, final, l.key, l.want)
		if err == nil || ctx.Err() != nil {
			return final, err
		}
		// It is not there, or somebody changed it.
		if err := os.Remove(final); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	l.notes = l.read(l.key)
	if err := l.open(ctx); err != nil {
		return "", err
	}
	defer l.close()
	if err := l.complete(ctx); err != nil {
		return "", err
	}
	return final, nil
}

// open opens the part and reads what is in it already.
func (l *load) open(ctx context.Context) (err error) {
	if l.part, err = os.OpenFile(l.aside(l.key, "part"), os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		return err
	}
	l.hash = l.want.new()
	l.size, err = io.Copy(l.hash, &reader{ctx, l.part, nil})
	l.resumed = l.size > 0
	l.told = progress{b: l.b, name: l.name(), total: l.notes.Total}
	return err
}

// close closes the part, which stays if there is something in it.
func (l *load) close() {
	l.part.Close()
	if l.size == 0 {
		_ = os.Remove(l.part.Name())
	}
}

// complete loads what is missing, checks the whole and gives it its name.
func (l *load) complete(ctx context.Context) error {
	for {
		whole := l.want.kind != "" && l.size > 0 && l.size == l.notes.Total
		if !whole {
			if err := l.run(ctx); err != nil {
				return err
			}
		}
		if l.kept {
			return nil
		}
		got := hex.EncodeToString(l.hash.Sum(nil))
		if l.want.kind == "" || got == l.want.digits {
			return l.finish()
		}
		if !l.resumed {
			err := l.want.mismatch(l.name(), got)
			l.part.Close()
			return errors.Join(err, os.Remove(l.part.Name()), os.Remove(l.aside(l.key, "json")))
		}
		// What was there before may have been the part of something else.
		l.noRange = true
		if err := l.restart(); err != nil {
			return err
		}
	}
}

// finish gives the part its name. Its mark is noted first: a crash in between leaves a
// part that is whole.
func (l *load) finish() error {
	name := l.part.Name()
	if err := errors.Join(l.part.Sync(), l.part.Close()); err != nil {
		return err
	}
	var err error
	l.notes.Total = l.size
	if l.notes.Mark, err = kiln.Mark(name); err != nil {
		return err
	}
	if err := l.write(l.key, l.notes); err != nil {
		return err
	}
	return os.Rename(name, l.path(l.key))
}

// restart throws the part away.
func (l *load) restart() error {
	l.size, l.resumed = 0, false
	l.hash.Reset()
	_, err := l.part.Seek(0, io.SeekStart)
	return errors.Join(err, l.part.Truncate(0))
}

// step is how much new content makes a try count as one that got on.
const step = 1 << 20

// run loads until all is there. A fault that may pass is tried again, more and more
// patiently, until several tries in a row have brought nothing new.
func (l *load) run(ctx context.Context) error {
	best := l.size
	for try := 1; ; try++ {
		err := l.once(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case permanent(err):
			return err
		}
		if l.size >= best+step {
			best, try = l.size, 1
		}
		if try >= l.tries {
			return fmt.Errorf("given up after %d tries: %w", try, err)
		}
		pause := max(l.backOff(try), retryAfter(err))
		l.b.Warn("Download of %s: %v; trying again in %s...", l.name(), err, pause.Round(time.Millisecond))
		if err := kiln.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// backOff is a pause that doubles with each try and is never the same for two builds.
func (l *load) backOff(try int) time.Duration {
	pause := min(l.pause<<(try-1), 30*time.Second)
	return pause/2 + rand.N(pause)
}

// resumable reports whether the rest of the part can be asked for: where a checksum
// tells in the end whether the parts fit, always.
func (l *load) resumable() bool {
	return l.size > 0 && !l.noRange && (l.want.kind != "" || l.validator() != "")
}

// validator is what tells the server which version of the file the part is of; "" where
// it came from another one.
func (l *load) validator() string {
	switch {
	case l.notes.Source != digest(l.url.String()):
		return ""
	case l.notes.ETag != "" && !strings.HasPrefix(l.notes.ETag, "W/"):
		return l.notes.ETag
	}
	return l.notes.LastModified
}
