// Package tree turns files and folders into tar streams and back, for
// communicators. Modes, times, links and empty folders are kept; owners are not.
package tree

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"kiln"
)

// PackOptions says how a tree goes into a stream.
type PackOptions struct {
	Name     string // of the tree's own folder in the stream; "": only what is in it
	UID, GID int    // owner of every entry
	Progress func(done int64)
}

// Pack writes the tree at root as a tar stream. Names longer than the old format
// knows are written in GNU's way, which every tar reads.
func Pack(ctx context.Context, w io.Writer, root string, o PackOptions) error {
	t := tar.NewWriter(w)
	p := packer{ctx: ctx, tar: t, o: o}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		if rel == "." && o.Name == "" {
			return nil
		}
		return p.add(file, path.Join(o.Name, filepath.ToSlash(rel)), rel == ".")
	})
	if err != nil {
		return err
	}
	return t.Close()
}

type packer struct {
	ctx  context.Context
	tar  *tar.Writer
	o    PackOptions
	done int64
}

// add writes one entry. The root itself may be a link to a folder.
func (p *packer) add(file, name string, root bool) error {
	look := os.Lstat
	if root {
		look = os.Stat
	}
	info, err := look(file)
	if err != nil {
		return err
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(file); err != nil {
			return err
		}
	}
	if kind := info.Mode().Type(); kind != 0 && kind != fs.ModeDir && kind != fs.ModeSymlink {
		return fmt.Errorf("%s is neither file, folder nor link (%s) and cannot be uploaded", file, kind)
	}
	h := Header(name, info.Mode(), info.Size(), info.ModTime(), p.o.UID, p.o.GID)
	h.Linkname = link
	if err := p.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	// A file that grows meanwhile is cut at the size the header says; one that
	// shrinks is an error of the tar writer.
	n, err := io.Copy(p.tar, io.LimitReader(f, h.Size))
	if err == nil && n < h.Size {
		err = fmt.Errorf("it became smaller while it was read")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	p.done += n
	if p.o.Progress != nil {
		p.o.Progress(p.done)
	}
	return nil
}

// Header is the tar header of an entry, in GNU's format.
func Header(name string, mode fs.FileMode, size int64, mtime time.Time, uid, gid int) *tar.Header {
	h := &tar.Header{
		Name:     name,
		Mode:     int64(mode.Perm()),
		ModTime:  mtime.Truncate(time.Second),
		Uid:      uid,
		Gid:      gid,
		Format:   tar.FormatGNU,
		Typeflag: tar.TypeReg,
	}
	for bit, val := range map[fs.FileMode]int64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if mode&bit != 0 {
			h.Mode |= val
		}
	}
	switch {
	case mode.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
	case mode&fs.ModeSymlink != 0:
		h.Typeflag = tar.TypeSymlink
	default:
		h.Size = size
	}
	return h
}

// Unpack writes a tar stream, or several in a row, into a local folder. Nothing is
// written outside of it, whatever the names and links in the stream say. Strip is
// a leading part that is taken off each name.
func Unpack(ctx context.Context, r io.Reader, dir, strip string, progress func(int64)) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	u := unpacker{root: root, strip: strip, progress: progress, modes: map[string]fs.FileMode{}}
	in := bufio.NewReaderSize(r, 256<<10)
	for more(in) {
		t := tar.NewReader(in)
		for {
			if err := ctx.Err(); err != nil {
				return err
			}
			h, err := t.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			if err := u.add(h, t); err != nil {
				return fmt.Errorf("%s: %w", h.Name, err)
			}
		}
	}
	return u.finish()
}

// more passes over the padding behind an archive and reports whether another comes.
func more(in *bufio.Reader) bool {
	for {
		block, err := in.Peek(512)
		if err != nil {
			return len(bytes.Trim(block, "\x00")) > 0
		}
		if len(bytes.Trim(block, "\x00")) > 0 {
			return true
		}
		_, _ = in.Discard(512)
	}
}

type unpacker struct {
	root     *os.Root
	strip    string
	progress func(int64)
	done     int64
	modes    map[string]fs.FileMode // of folders, set at the end: one may forbid writing
}

func (u *unpacker) add(h *tar.Header, content io.Reader) error {
	name := strings.TrimPrefix(
		path.Clean("/"+strings.TrimPrefix(path.Clean("/"+h.Name), path.Clean("/"+u.strip))),
		"/",
	)
	if name == "" {
		return nil
	}
	if parent := path.Dir(name); parent != "." {
		if err := u.root.MkdirAll(parent, 0o755); err != nil {
			return err
		}
	}
	mode := fs.FileMode(h.Mode).Perm()
	switch h.Typeflag {
	case tar.TypeDir:
		u.modes[name] = mode
		return u.root.MkdirAll(name, 0o755)
	case tar.TypeSymlink:
		if err := u.clear(name); err != nil {
			return err
		}
		return u.root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		return u.link(h, name)
	case tar.TypeReg:
		return u.file(h, name, mode, content)
	}
	return nil // devices and the like have no place on this machine
}

// clear takes away a file or link that is in the way.
func (u *unpacker) clear(name string) error {
	if err := u.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (u *unpacker) link(h *tar.Header, name string) error {
	target := strings.TrimPrefix(
		path.Clean("/"+strings.TrimPrefix(path.Clean("/"+h.Linkname), path.Clean("/"+u.strip))),
		"/",
	)
	if err := u.clear(name); err != nil {
		return err
	}
	return u.root.Link(target, name)
}

func (u *unpacker) file(h *tar.Header, name string, mode fs.FileMode, content io.Reader) error {
	if err := u.clear(name); err != nil {
		return err
	}
	f, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, content)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	u.done += n
	if u.progress != nil {
		u.progress(u.done)
	}
	return u.root.Chtimes(name, h.ModTime, h.ModTime)
}

func (u *unpacker) finish() error {
	for name, mode := range u.modes {
		if err := u.root.Chmod(name, mode); err != nil {
			return err
		}
	}
	return nil
}

// Source opens what an upload of one file sends: its content or the file it names,
// with the size (less than 0: not known) and the mode that it will have.
func Source(up *kiln.Upload) (content io.ReadCloser, size int64, mode fs.FileMode, err error) {
	const usual = 0o644
	if up.Content != nil {
		if mode = up.Mode; mode == 0 {
			mode = usual
		}
		return io.NopCloser(up.Content), up.Size, mode, nil
	}
	f, err := os.Open(up.Source)
	if err != nil {
		return nil, 0, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, 0, errors.Join(err, f.Close())
	}
	if mode = info.Mode().Perm(); mode == 0 {
		mode = usual
	}
	return f, info.Size(), mode, nil
}
