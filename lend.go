package kiln

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
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

// tempName is how the folders are named that builds make, and that a clean-up removes.
var tempName = regexp.MustCompile(`^(kiln|packer)-[a-z]+-[a-z2-7]{10}$`)

// IsTempDir reports whether TempDir made the folder at path, by its name: nothing else
// is ever removed with all that is in it.
func IsTempDir(path string) bool {
	return filepath.IsAbs(path) && filepath.Clean(path) == path && tempName.MatchString(filepath.Base(path))
}

// TempDir makes an empty folder with mode 0700 in the system's folder for temporary
// files. The build owns it; it goes with all that is in it when the build is closed,
// or earlier by Destroy. Name begins its name: a word between kiln- or packer- and a dash,
// such as kiln-layer-.
func (b *Build) TempDir(name string) (string, Resource, error) {
	if !tempName.MatchString(name + "aaaaaaaaaa") {
		return "", Resource{}, fmt.Errorf("%q cannot begin a temporary folder's name: want kiln-WORD- or packer-WORD-",
			name)
	}
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
	target, err := newTarget(ctx, path)
	if err != nil {
		return Resource{}, err
	}
	if info, err := os.Stat(target); err == nil && !info.Mode().IsRegular() {
		return Resource{Kind: KindFile, ID: target, Mark: foreign}, writeInto(ctx, target, info, write)
	}
	return b.whole(ctx, target, func(part string) (Resource, error) { return b.writePart(part, target, mode, write) })
}

// MakeFile is [Build.WriteFile] for what a program writes by itself: write is given the path of the part.
func (b *Build) MakeFile(ctx context.Context, path string, write func(part string) error) (Resource, error) {
	target, err := newTarget(ctx, path)
	if err != nil {
		return Resource{}, err
	}
	before, statErr := os.Stat(target)
	if statErr == nil && !before.Mode().IsRegular() {
		return Resource{}, fmt.Errorf("%s is there, and not a file", path)
	}
	return b.whole(ctx, target, func(part string) (Resource, error) {
		if err := write(part); err != nil {
			return Resource{}, err
		}
		if statErr == nil {
			if err := os.Chmod(part, before.Mode().Perm()); err != nil {
				return Resource{}, err
			}
		}
		return b.ownFinal(part, Resource{Kind: KindFile, ID: target})
	})
}

// newTarget is the file that a path leads to, whose folder is made.
func newTarget(ctx context.Context, path string) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	target, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return "", fmt.Errorf("make folder of %s: %w", path, err)
	}
	// What a link leads to is written, as everywhere.
	if led, err := filepath.EvalSymlinks(target); err == nil {
		target = led
	}
	return target, nil
}

// whole has a part made beside the target, and moves it there.
func (b *Build) whole(
	ctx context.Context, target string, write func(part string) (Resource, error),
) (Resource, error) {
	part := Resource{Kind: KindFile, ID: target + ".kiln-" + RandomName(8)}
	if err := b.Own(part, RemoveFile(part)); err != nil {
		return Resource{}, err
	}
	final, err := write(part.ID)
	if err == nil {
		err = os.Rename(part.ID, target)
	}
	if err != nil {
		return final, errors.Join(err, b.Destroy(context.WithoutCancel(ctx), part))
	}
	return final, b.Forget(part)
}

// Written is what the file holds that [Build.WriteFile] is about to replace: nothing where
// there is none, or where it is no file. A pipe would be read for ever.
func Written(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
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
	sum := sha256.New()
	err = write(io.MultiWriter(out, sum))
	if err == nil && statErr == nil {
		keepOwner(out, before) // where we may
		err = out.Chmod(before.Mode().Perm())
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return final, err
	}
	final = Resource{Kind: KindFile, ID: target, Digest: "sha256:" + hex.EncodeToString(sum.Sum(nil))}
	return b.ownFinal(part, final)
}

// ownFinal owns what a part is about to become, if nothing is there yet.
func (b *Build) ownFinal(part string, final Resource) (_ Resource, err error) {
	if final.Mark, err = Mark(part); err != nil {
		return final, err
	}
	if _, err := os.Lstat(final.ID); errors.Is(err, fs.ErrNotExist) {
		return final, b.Own(final, RemoveFile(final))
	}
	return final, nil
}

// foreign marks what no build made: a device, a pipe.
const foreign = "not made by a build"

// writeInto writes to what is no file, such as a device or a pipe: it stays what it is.
func writeInto(ctx context.Context, path string, info fs.FileInfo, write func(w io.Writer) error) error {
	if info.IsDir() {
		return fmt.Errorf("%s is a folder", path)
	}
	pipe := info.Mode()&fs.ModeNamedPipe != 0
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		// Opening a pipe would wait for its reader, and hear no signal meanwhile.
		out, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			return errors.Join(write(out), out.Close())
		}
		if !pipe || !errors.Is(err, syscall.ENXIO) {
			return err
		}
		if ctxErr := Sleep(ctx, pause); ctxErr != nil {
			return fmt.Errorf("nobody reads from %s: %w", path, ctxErr)
		}
	}
}

// Remote is a file that a build needs and that is somewhere else.
type Remote struct {
	// URL is its http, https or file address, or a path on this machine.
	URL string
	// Mirrors are further addresses of the same content, in the order in which they are
	// tried.
	Mirrors []string
	// Checksum is what its content must have: "sha256:HEX", the same with md5, sha1 or
	// sha512, or the hexadecimal digits alone, whose number tells which it is; or "file:" and
	// where a list of checksums is.
	Checksum string
	// Unchecked allows a Checksum of "none" or "".
	Unchecked bool
	// Extension ends the name that a file which was loaded gets here, such as "iso",
	// for programs that go by it.
	Extension string
	// Target is where to put what has to be loaded: a file, or, where the name has no
	// extension, a folder. It is the cache by default.
	Target string
	// For is what messages call it, such as "ISO"; "": nothing is said of what is done.
	For string
}

// sumLength is the number of hexadecimal digits of each kind of checksum.
var sumLength = map[string]int{"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}

// Sum is the checksum that is wanted, in lower case, and its kind. Both are empty where
// nothing is checked. One that stands in a list is for [Build.Checksum] to find.
func (r Remote) Sum() (kind, digits string, err error) {
	if r.Checksum == "" || r.Checksum == "none" {
		if !r.Unchecked {
			return "", "", Invalid("checksum", "a checksum must be specified")
		}
		return "", "", nil
	}
	kind, digits, typed := strings.Cut(r.Checksum, ":")
	kind = strings.ToLower(kind)
	if !typed {
		digits = r.Checksum
		for k, length := range sumLength {
			if len(digits) == length {
				kind = k
			}
		}
	}
	digits = strings.ToLower(digits)
	switch _, known := sumLength[kind]; {
	case typed && kind == "file":
		return "", "", Invalid(
			"checksum",
			"a list of checksums (%s) is not read here: write the checksum itself",
			r.Checksum,
		)
	case typed && !known:
		return "", "", Invalid("checksum", "unsupported checksum type: %s in %q", kind, r.Checksum)
	}
	if _, err := hex.DecodeString(digits); err != nil {
		return "", "", Invalid("checksum", "invalid checksum: %v in %q", err, r.Checksum)
	}
	if len(digits) != sumLength[kind] {
		return "", "", Invalid(
			"checksum",
			"invalid checksum: %d hexadecimal digits in %q",
			len(digits),
			r.Checksum,
		)
	}
	return kind, digits, nil
}

// Fetch returns the path of a file on this machine with the content of r, whole and
// checked. What has to be loaded is kept for later runs and not to be changed; what is on
// this machine already is used where it is.
func (b *Build) Fetch(ctx context.Context, r Remote) (string, error) {
	if b.host.Fetch == nil {
		return "", errors.New("nothing can be downloaded here")
	}
	return b.host.Fetch(ctx, b, r)
}

// Checksum returns what the content of r must be, as kind:digits in lower case, reading the
// list of checksums that r may name; "" where nothing is checked. It loads nothing else.
func (b *Build) Checksum(ctx context.Context, r Remote) (string, error) {
	if b.host.Checksum == nil {
		return "", errors.New("nothing can be downloaded here")
	}
	return b.host.Checksum(ctx, b, r)
}
