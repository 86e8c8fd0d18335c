package kiln

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Sleep waits for d, or until the context ends: then its error is the cause.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// TempDir makes an empty folder with mode 0700 in the system's folder for temporary
// files. The build owns it; it goes with all that is in it when the build is closed,
// or earlier by Destroy. Name begins its name.
func (b *Build) TempDir(name string) (string, Resource, error) {
	dir, err := filepath.Abs(filepath.Join(os.TempDir(), name+RandomName(10)))
	if err != nil {
		return "", Resource{}, err
	}
	r := Resource{Kind: KindDir, ID: dir}
	if err := b.Own(r, func(context.Context) error { return os.RemoveAll(dir) }); err != nil {
		return "", r, err
	}
	return dir, r, os.Mkdir(dir, 0o700)
}

// WriteFile writes a file whole or not at all: to a name beside it, which is moved
// to path when it is complete. Folders on the way are made. A file of that name from
// before stays until then and passes its mode on; else the mode is the given one,
// less the umask.
//
// What is returned names the very file that was made. The build owns it if there was
// none before: the caller releases it where it is part of an artifact.
func (b *Build) WriteFile(
	ctx context.Context, path string, mode fs.FileMode, write func(w io.Writer) error,
) (Resource, error) {
	target, err := filepath.Abs(path)
	if err != nil {
		return Resource{}, err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return Resource{}, fmt.Errorf("make folder of %s: %w", path, err)
	}
	part := Resource{Kind: KindFile, ID: target + ".kiln-" + RandomName(8)}
	if err := b.Own(part, RemoveFile(part)); err != nil {
		return Resource{}, err
	}
	final, err := b.writePart(part.ID, target, mode, write)
	if err == nil {
		err = os.Rename(part.ID, target)
	}
	if err != nil {
		return final, errors.Join(err, b.Destroy(context.WithoutCancel(ctx), part))
	}
	return final, b.Forget(part)
}

// writePart writes the part and owns what it is about to become.
func (b *Build) writePart(
	part, target string, mode fs.FileMode, write func(w io.Writer) error,
) (final Resource, err error) {
	out, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return final, err
	}
	before, statErr := os.Stat(target)
	err = write(out)
	if err == nil && statErr == nil {
		err = out.Chmod(before.Mode().Perm())
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return final, err
	}
	final = Resource{Kind: KindFile, ID: target}
	if final.Mark, err = Mark(part); err != nil {
		return final, err
	}
	if _, err := os.Lstat(target); errors.Is(err, fs.ErrNotExist) {
		return final, b.Own(final, RemoveFile(final))
	}
	return final, nil
}

// WriteFile writes a file of Kiln's own whole or not at all, whatever happens
// meanwhile: readers see the old content or the new, never a part.
func WriteFile(path string, text []byte, mode fs.FileMode) error {
	part, err := os.CreateTemp(filepath.Dir(path), ".kiln-*")
	if err != nil {
		return err
	}
	_, err = part.Write(text)
	err = errors.Join(err, part.Chmod(mode), part.Close())
	if err == nil {
		err = os.Rename(part.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part.Name()))
	}
	return nil
}
