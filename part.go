package kiln

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// readerTime is how long a file of Kiln's own waits for the reader of a pipe.
const readerTime = 5 * time.Second

// WriteFile writes a file of Kiln's own whole or not at all, whatever happens
// meanwhile: readers see the old content or the new, never a part. It is for folders of
// Kiln's own, in which a clean-up finds the part that a killed process left; see
// [AbandonedParts]. For others there is [WriteOwned].
func WriteFile(path string, text []byte, mode fs.FileMode) error {
	return WriteOwned(nil, path, text, mode)
}

// WriteOwned is [WriteFile] for a file that is in a folder of the user's: its part is
// owned in the journal until it has become the file. The mode is that of a new file,
// before the umask; one that exists keeps its mode and owner.
func WriteOwned(j Journal, path string, text []byte, mode fs.FileMode) error {
	if led, err := filepath.EvalSymlinks(path); err == nil {
		path = led
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		ctx, cancel := context.WithTimeout(context.Background(), readerTime)
		defer cancel()
		return writeInto(ctx, path, info, func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		})
	}
	for try := 0; ; try++ {
		err := writeWhole(j, path, text, mode)
		// A clean-up on another machine that shares the folder took the part for one that
		// nobody writes any more.
		if try == 3 || !errors.Is(err, errPartGone) {
			return err
		}
	}
}

// errPartGone is that somebody removed a part before it was complete.
var errPartGone = errors.New("its part is gone")

func writeWhole(j Journal, path string, text []byte, mode fs.FileMode) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	part, done, err := newPart(j, filepath.Dir(abs), PartPrefix, mode)
	if denied, ok := errors.AsType[*fs.PathError](err); ok {
		denied.Path = path // what the user knows, in place of the part
	}
	if err != nil {
		return err
	}
	_, err = part.Write(text)
	if before, statErr := os.Stat(abs); statErr == nil {
		keepOwner(part, before) // where we may
		err = errors.Join(err, part.Chmod(before.Mode().Perm()))
	}
	err = errors.Join(err, part.Close())
	if err == nil {
		err = os.Rename(part.Name(), abs)
		if _, statErr := os.Stat(filepath.Dir(abs)); errors.Is(err, fs.ErrNotExist) && statErr == nil {
			err = errors.Join(errPartGone, err)
		}
	}
	return errors.Join(err, done())
}

// PartPrefix begins the names by which [AbandonedParts] knows parts.
const PartPrefix = ".kiln-"

// NewPart makes a file in the folder of what it is to become, whose name begins with
// prefix and has the number of this process, and owns it in the journal, if there is one.
// Nobody else can read it.
// Done removes it, unless it was renamed, and strikes it off.
func NewPart(j Journal, dir, prefix string) (part *os.File, done func() error, err error) {
	return newPart(j, dir, prefix, 0o600)
}

func newPart(j Journal, dir, prefix string, mode fs.FileMode) (part *os.File, done func() error, err error) {
	r := Resource{Kind: KindFile, ID: filepath.Join(dir, prefix+strconv.Itoa(os.Getpid())+"-"+RandomName(8))}
	if j != nil {
		if err := j.Own("", r); err != nil {
			return nil, nil, err
		}
	}
	gone := func() error {
		if j == nil {
			return nil
		}
		return j.Gone("", r)
	}
	part, err = os.OpenFile(r.ID, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return nil, nil, errors.Join(err, gone())
	}
	return part, func() error {
		if err := os.Remove(r.ID); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return gone()
	}, nil
}

// partName is what WriteFile calls a part; the number is its process. Those of older
// versions have a number alone.
var partName = regexp.MustCompile(`^\.kiln-([0-9]+)(-[a-z2-7]{8})?$`)

// AbandonedParts are the parts below a folder of Kiln's own whose process has ended.
func AbandonedParts(dir string) ([]Resource, error) {
	var found []Resource
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		}
		if err != nil {
			return err
		}
		m := partName.FindStringSubmatch(d.Name())
		if m == nil || !d.Type().IsRegular() {
			return nil
		}
		if pid, err := strconv.Atoi(m[1]); err == nil && m[2] != "" && alive(pid) {
			return nil
		}
		r := Resource{Kind: KindFile, ID: path}
		r.Mark, err = Mark(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		found = append(found, r)
		return err
	})
	return found, err
}
