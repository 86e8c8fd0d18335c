package archive

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"

	"kiln"
)

// Entry is one file of an archive.
type Entry struct {
	Name string // with forward slashes, within the archive
	Mode fs.FileMode
	Size int64
	Open func() (io.ReadCloser, error)
}

// WriteEntries writes a tar archive with the given entries, in their order. Times and owners are the same
// for all, so that archives of the same content have the same bytes.
func WriteEntries(w io.Writer, entries []Entry) error {
	t := tar.NewWriter(w)
	for _, e := range entries {
		if err := writeEntry(t, e); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	return t.Close()
}

func writeEntry(t *tar.Writer, e Entry) error {
	r, err := e.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	h := &tar.Header{Name: e.Name, Mode: int64(e.Mode.Perm()), Size: e.Size, Typeflag: tar.TypeReg}
	uniform(h)
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.Copy(t, r)
	if err == nil && n < e.Size {
		err = fmt.Errorf("has %d bytes now, and had %d before: something writes to it", n, e.Size)
	}
	return err
}

// uniform gives a header what all entries have in common.
func uniform(h *tar.Header) {
	h.Format = tar.FormatGNU
	h.ModTime = stamp
	h.Uname, h.Gname = "root", "root"
}

// Progress is r, which tells of progress under a name as it is read, and ends when ctx does.
func Progress(ctx context.Context, b *kiln.Build, name string, r io.Reader) io.Reader {
	return &counted{ctx: ctx, r: r, b: b, name: name}
}

// counted tells of progress, and stops when the build is cancelled.
type counted struct {
	ctx  context.Context
	r    io.Reader
	b    *kiln.Build
	name string
	done int64
	told int64
}

func (c *counted) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	n, err := c.r.Read(p)
	c.done += int64(n)
	if c.done-c.told > 16<<20 {
		c.told = c.done
		c.b.Emit(kiln.Event{Kind: kiln.EventProgress, Text: c.name, Done: c.done})
	}
	return n, err
}
