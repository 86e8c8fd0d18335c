package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
	"time"

	"kiln"
)

// partName is how a folder is called until it gets its name.
var partName = regexp.MustCompile(`\.kiln-[a-z2-7]{10}$`)

// MakeFolder makes a folder of the user's, and those on the way to it. The build owns it:
// when it is closed, the folder goes with all that is in it, but never one that was there
// before or that was put in its place, which is fs.ErrExist. Gone is called before the
// folder goes; it may be nil.
func MakeFolder(
	ctx context.Context, b *kiln.Build, path string, mode fs.FileMode, gone func(),
) (kiln.Resource, error) {
	target, err := filepath.Abs(path)
	if err != nil {
		return kiln.Resource{}, err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return kiln.Resource{}, err
	}
	// What it is known by is its number in the file system, which it has when it exists: so
	// it exists under a name of ours first.
	part := kiln.Resource{Kind: kiln.KindFolder, ID: target + ".kiln-" + kiln.RandomName(10)}
	err = b.Own(part, func(ctx context.Context) error { return removeFolder(ctx, part) })
	if err != nil {
		return part, err
	}
	made := kiln.Resource{Kind: kiln.KindFolder, ID: target}
	err = os.Mkdir(part.ID, mode)
	if err == nil {
		made.Mark, err = folderMark(part.ID)
	}
	if err != nil {
		return made, errors.Join(err, b.Destroy(context.WithoutCancel(ctx), part))
	}
	err = b.Own(made, func(ctx context.Context) error {
		if gone != nil {
			gone()
		}
		return removeFolder(ctx, made)
	})
	if err == nil {
		if err = renameNew(part.ID, target); err != nil {
			err = errors.Join(err, b.Forget(made))
		}
	}
	if err != nil {
		return made, errors.Join(err, b.Destroy(context.WithoutCancel(ctx), part))
	}
	return made, b.Forget(part)
}

// removeTime is how long a folder may resist: what writes into it may be about to end, and
// a scanner may look at a file.
const removeTime = 10 * time.Second

// removeFolder removes a folder that a build made, with all that is in it. One that is
// another by now is left alone.
func removeFolder(ctx context.Context, r kiln.Resource) error {
	if !filepath.IsAbs(r.ID) || filepath.Clean(r.ID) != r.ID || r.Mark == "" && !partName.MatchString(r.ID) {
		return fmt.Errorf("%q is not a folder that a build makes: if it is to go, remove it by hand, and "+
			"clean up again", r.ID)
	}
	if r.Mark != "" {
		mark, err := folderMark(r.ID)
		switch {
		case absent(err):
			return nil
		case err != nil:
			return err
		case mark != r.Mark:
			return kiln.ErrReplaced
		}
	}
	return RemoveTree(ctx, r.ID)
}

// RemoveTree removes all at a path, and tries again for a while where something still
// writes there. That there is nothing is success.
func RemoveTree(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, removeTime)
	defer cancel()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := os.RemoveAll(path)
		if err == nil || runtime.GOOS != "windows" && !errors.Is(err, syscall.ENOTEMPTY) &&
			!errors.Is(err, syscall.EEXIST) && !errors.Is(err, syscall.EBUSY) {
			return err
		}
		if kiln.Sleep(ctx, pause) != nil {
			return err
		}
	}
}

// renameAbsent renames to a name that nothing has, as far as can be seen.
func renameAbsent(from, to string) error {
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fs.ErrExist
		}
		return &fs.PathError{Op: "make", Path: to, Err: err}
	}
	return os.Rename(from, to)
}
