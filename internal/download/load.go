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
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kiln"
)

// A way is one source of a download, ready to be asked.
type way struct {
	*source
	url   *url.URL                                         // that requests go to
	sign  func(ctx context.Context, r *http.Request) error // makes a request one of ours; may be nil
	bring func(ctx context.Context, to string) error       // of what is no web address; nil: it is
	tried bool                                             // and said so
	// anonymous is why requests are not signed; nil: they are, or need not be.
	anonymous error
}

// A load is one download. Its part belongs to no build: it stays for the next one that
// wants the same content, and goes with age.
type load struct {
	*fetch
	ways    []*way // that may still have it; the first is asked now
	target  string
	packed  string // how it is packed
	patient bool   // there is nothing to fall back on

	part    *os.File
	hash    hash.Hash // of the part
	size    int64     // of the part
	notes   notes
	told    progress
	resumed bool // some of the part is of an earlier request
	noRange bool // what was resumed came out wrong: only the whole in one request will do
	kept    bool // the file that was loaded earlier is still what the server has
	failed  []error
}

// name is what the file is called in messages.
func (l *load) name() string { return l.sources[0].base() }

// at is the source that is asked now.
func (l *load) at() *way { return l.ways[0] }

// fetchOnce returns the path of the file, loading it where it is not there.
func (l *load) fetchOnce(ctx context.Context) (string, error) {
	l.trying(l.at().source)
	l.at().tried = true
	if err := os.MkdirAll(filepath.Dir(l.target), 0o755); err != nil {
		return "", err
	}
	unlock, err := l.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	if l.want.kind != "" {
		ok, err := l.there(ctx)
		if ok || err != nil {
			return l.target, err
		}
	}
	l.sweep()
	l.notes = l.read(l.target, l.want)
	if err := l.open(ctx); err != nil {
		return "", err
	}
	defer l.close()
	if err := l.complete(ctx); err != nil {
		return "", err
	}
	return l.target, nil
}

// there reports whether the file is there already, whoever brought it. One that is not what
// is wanted may be the beginning of it, which Packer leaves under this name.
func (l *load) there(ctx context.Context) (bool, error) {
	var err error
	if l.packed == "" {
		err = l.check(ctx, l.b, l.target, l.want)
	} else if mark, markErr := kiln.Mark(l.target); markErr != nil || mark != l.read(l.target, l.want).Mark {
		err = fs.ErrNotExist // what was unpacked earlier is known by its mark alone
	}
	wrong := false
	if _, ok := errors.AsType[*mismatchError](err); ok {
		wrong = true
	}
	switch {
	case err == nil:
		l.used(l.target, l.want)
		return true, nil
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case !wrong:
		return false, err
	case exists(l.target + partSuffix):
		return false, os.Remove(l.target)
	}
	l.b.Say("%s is not whole, or not what is wanted: loading it again", l.target)
	return false, os.Rename(l.target, l.target+partSuffix)
}

// open opens the part and reads what is in it already.
func (l *load) open(ctx context.Context) (err error) {
	if l.part, err = os.OpenFile(l.target+partSuffix, os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		return err
	}
	l.hash = l.want.new()
	l.size, err = hashAll(ctx, l.hash, l.part, nil)
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
			return l.finish(ctx)
		}
		if l.resumed && l.at().bring == nil {
			// What was there before may have been the part of something else.
			l.noRange = true
		} else if err := l.leave(ctx, l.want.mismatch("", got)); err != nil {
			l.part.Close()
			l.size = 0
			_ = os.Remove(l.note(l.target, l.want))
			return err
		}
		if err := l.restart(); err != nil {
			return err
		}
	}
}

// finish gives the part its name. Its mark is noted first: a crash in between leaves a
// part that is whole.
func (l *load) finish(ctx context.Context) error {
	name := l.part.Name()
	if err := errors.Join(l.part.Sync(), l.part.Close()); err != nil {
		return err
	}
	l.notes.Total = l.size
	if l.packed != "" {
		l.notes.Total = 0 // it is that of the packed file, which does not stay
		if err := l.unpack(ctx, name, l.notes); err != nil {
			return err
		}
		return os.Remove(name)
	}
	var err error
	if l.notes.Mark, err = kiln.Mark(name); err != nil {
		return err
	}
	if err := l.write(l.target, l.want, l.notes); err != nil {
		return err
	}
	return os.Rename(name, l.target)
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

// run loads until all is there. A fault that may pass is tried again, at the next source
// where there is one, and more and more patiently, until several tries have brought nothing
// new.
func (l *load) run(ctx context.Context) error {
	best := l.size
	for try := 1; ; try++ {
		err := l.once(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if l.size >= best+step {
			best, try = l.size, 1
		}
		if !permanent(err) && try >= l.limit() {
			err = fmt.Errorf("given up after %d tries: %w", try, err)
			l.failed = append(l.failed, fmt.Errorf("download %s: %w", l.at().name, err))
			return errors.Join(l.failed...)
		}
		if permanent(err) {
			if err := l.leave(ctx, err); err != nil {
				return err
			}
			try--
			continue
		}
		if err := l.next(ctx, try, err); err != nil {
			return err
		}
	}
}

// limit is how many tries that bring nothing are enough. Where there is another source it
// is not waited long for one.
func (l *load) limit() int {
	if n := len(l.ways); n > 1 {
		return max(l.tries, 2*n)
	}
	if !l.patient || len(l.failed) > 0 {
		return min(l.tries, 3)
	}
	return l.tries
}

// leave gives up the source that was asked, for good. The error is that of all where none
// is left.
func (l *load) leave(ctx context.Context, err error) error {
	if why := l.at().anonymous; why != nil && errors.Is(err, kiln.ErrDenied) {
		err = fmt.Errorf("%w; there are no credentials: %v", err, why)
	}
	l.failed = append(l.failed, fmt.Errorf("download %s: %w", l.at().name, err))
	if len(l.ways) == 1 {
		return errors.Join(l.failed...)
	}
	l.b.Warn("Download failed %v", l.failed[len(l.failed)-1])
	l.ways = l.ways[1:]
	l.turn()
	return ctx.Err()
}

// next goes on at the next source, or after a pause where all had their turn.
func (l *load) next(ctx context.Context, try int, err error) error {
	round := len(l.ways)
	if round > 1 {
		from := l.at()
		l.ways = append(l.ways[1:], from)
		if try%round != 0 {
			l.b.Warn("Download of %s from %s: %v; going on at %s...", l.name(), from.name, err, l.at().name)
			l.turn()
			return nil
		}
	}
	pause := max(l.backOff((try+round-1)/round), retryAfter(err))
	l.b.Warn("Download of %s: %v; trying again in %s...", l.name(), err, pause.Round(time.Millisecond))
	l.turn()
	return kiln.Sleep(ctx, pause)
}

// turn says which source is asked now, once.
func (l *load) turn() {
	if w := l.at(); !w.tried {
		w.tried = true
		l.trying(w.source)
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
	case l.notes.Source != digest(l.at().url.String()):
		return ""
	case l.notes.ETag != "" && !strings.HasPrefix(l.notes.ETag, "W/"):
		return l.notes.ETag
	}
	return l.notes.LastModified
}
