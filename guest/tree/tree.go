// Package tree turns files and folders into tar streams and back, for
// communicators. Modes, times, links and empty folders are kept; owners where that is
// asked for.
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
	"strings"
	"time"
)

// PackOptions says how a tree goes into a stream.
type PackOptions struct {
	Name     string // of the tree's own folder in the stream; "": only what is in it
	UID, GID int    // owner of every entry
	Owners   bool   // but each keeps its own, where it has one
	Progress func(done int64)
}

// Pack writes the tree at root, as [Walk] sees it, as a tar stream. Names longer than the
// old format knows are written in GNU's way, which every tar reads.
func Pack(ctx context.Context, w io.Writer, root string, o PackOptions) error {
	p := packer{ctx: ctx, tar: tar.NewWriter(w), o: o}
	if err := Walk(ctx, root, p.add); err != nil {
		return err
	}
	return p.tar.Close()
}

type packer struct {
	ctx  context.Context
	tar  *tar.Writer
	o    PackOptions
	done int64
}

// add writes one entry.
func (p *packer) add(e Entry) error {
	if e.Name == "." && p.o.Name == "" {
		return nil
	}
	name := path.Join(p.o.Name, e.Name)
	if e.Same != "" {
		e.Same = path.Join(p.o.Name, e.Same)
	}
	uid, gid := p.o.UID, p.o.GID
	if p.o.Owners {
		if u, g, ok := Owner(e.Info); ok {
			uid, gid = u, g
		}
	}
	err := WriteEntry(p.ctx, p.tar, e, name, uid, gid)
	if err == nil && e.Info.Mode().IsRegular() && e.Same == "" {
		p.done += e.Info.Size()
		if p.o.Progress != nil {
			p.o.Progress(p.done)
		}
	}
	return err
}

// WriteEntry writes an entry to a tar stream under a name; the names of hard links are
// those in the stream.
func WriteEntry(ctx context.Context, t *tar.Writer, e Entry, name string, uid, gid int) error {
	h := Header(name, e.Info.Mode(), e.Info.Size(), e.Info.ModTime(), uid, gid)
	switch {
	case e.Link != "":
		h.Linkname = e.Link
	case e.Same != "":
		h.Typeflag, h.Linkname, h.Size = tar.TypeLink, e.Same, 0
	}
	if err := t.WriteHeader(h); err != nil {
		return fmt.Errorf("%s: %w", e.File, err)
	}
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	f, err := Open(ctx, e.File)
	if err != nil {
		return err
	}
	defer f.Close()
	// A file that grows meanwhile is cut at the size the header says; one that
	// shrinks is an error of the tar writer.
	n, err := io.Copy(t, io.LimitReader(f, h.Size))
	if err == nil && n < h.Size {
		err = errors.New("it became smaller while it was read")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", e.File, err)
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
	for {
		if more, err := more(ctx, in); err != nil || !more {
			return errors.Join(err, u.finish())
		}
		if err := u.archive(ctx, tar.NewReader(in)); err != nil {
			return err
		}
	}
}

// archive unpacks one archive of the stream.
func (u *unpacker) archive(ctx context.Context, t *tar.Reader) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := u.add(h, t); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

// mostPadding is how much may stand behind an archive before another comes or the stream
// ends. Programs fill up to a block of theirs, which is never so large.
const mostPadding = 64 << 20

// more passes over the padding behind an archive and reports whether another comes.
func more(ctx context.Context, in *bufio.Reader) (bool, error) {
	for passed := 0; passed < mostPadding; passed += 512 {
		block, err := in.Peek(512)
		if len(bytes.Trim(block, "\x00")) > 0 {
			return true, nil
		}
		if err == io.EOF {
			return false, nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return false, err
		}
		_, _ = in.Discard(512)
	}
	return false, errors.New("the stream has no end: only padding comes behind the archive")
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
