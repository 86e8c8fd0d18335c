package cd

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"
	"unicode/utf16"

	"kiln/media/files"
)

const (
	recordHead = 33 // bytes of a record in front of the name

	flagFolder = 0x02
	flagMore   = 0x80 // another record tells of the rest of the file
)

func even(n int) int { return n + n%2 }

// record tells of one file, folder or section of a file.
func record(id []byte, place, size int64, flags byte, t time.Time, use []byte) []byte {
	r := []byte{0, 0}
	r = both32(r, uint32(place))
	r = both32(r, uint32(size))
	r = append(r, recordTime(t)...)
	r = append(r, flags, 0, 0)
	r = both16(r, 1) // of the volume
	r = append(r, byte(len(id)))
	r = append(r, id...)
	r = append(r, make([]byte, even(len(r))-len(r))...)
	r = append(r, use...)
	r = append(r, make([]byte, even(len(r))-len(r))...)
	r[0] = byte(len(r))
	return r
}

// recordTime is a time as records have it, in UTC.
func recordTime(t time.Time) []byte {
	t = t.UTC()
	year := min(max(t.Year(), 1900), 2155)
	hour, minute, second := t.Clock()
	return []byte{byte(year - 1900), byte(t.Month()), byte(t.Day()), byte(hour), byte(minute), byte(second), 0}
}

// records are the records of a folder, in whole blocks. None goes across blocks.
func (img *image) records(f *folder) (all []byte) {
	pad := func() { all = append(all, make([]byte, (blockSize-len(all)%blockSize)%blockSize)...) }
	add := func(record []byte) {
		if len(all)%blockSize+len(record) > blockSize {
			pad()
		}
		all = append(all, record...)
	}
	add(record([]byte{0}, f.place, f.size, flagFolder, img.made, f.self))
	add(record([]byte{1}, f.parent.place, f.parent.size, flagFolder, img.made, f.above))
	for _, e := range f.entries {
		if e.folder != nil {
			add(record(e.id, e.folder.place, e.folder.size, flagFolder, img.made, e.use))
			continue
		}
		place, left := e.extent.place, e.extent.file.Size
		for ; left > img.section; place, left = place+img.section/blockSize, left-img.section {
			add(record(e.id, place, img.section, flagMore, e.extent.file.Time, e.use))
		}
		add(record(e.id, place, left, 0, e.extent.file.Time, e.use))
	}
	pad()
	return all
}

// pathTable lists the folders of a tree, with numbers in one byte order.
func (t *tree) pathTable(order binary.AppendByteOrder) (table []byte) {
	for _, f := range t.folders {
		table = append(table, byte(len(f.id)), 0)
		table = order.AppendUint32(table, uint32(f.place))
		table = order.AppendUint16(table, uint16(f.parent.number))
		table = append(table, f.id...)
		table = append(table, make([]byte, even(len(f.id))-len(f.id))...)
	}
	return table
}

// descriptor tells of the volume and of one of its trees.
func (img *image) descriptor(t *tree) []byte {
	text := func(room int, s string) []byte {
		all := []byte(s)
		if t.joliet {
			all = nil
			for _, u := range whole(cutUnits(utf16.Encode([]rune(s)), room/2)) {
				all = binary.BigEndian.AppendUint16(all, u)
			}
		}
		for len(all) < room {
			if t.joliet {
				all = append(all, 0)
			}
			all = append(all, ' ')
		}
		return all[:room]
	}
	kind, escape := byte(1), ""
	if t.joliet {
		kind, escape = 2, "%/E" // UCS-2, level 3
	}
	root := t.folders[0]
	d := append([]byte{kind}, "CD001\x01\x00"...)
	d = append(d, text(32, "")...)
	d = append(d, text(32, img.label)...)
	d = append(d, make([]byte, 8)...)
	d = both32(d, uint32(img.blocks))
	d = append(d, escape...)
	d = append(d, make([]byte, 32-len(escape))...)
	d = both16(d, 1) // volumes
	d = both16(d, 1) // this one's number
	d = both16(d, blockSize)
	d = both32(d, uint32(t.tableSize()))
	d = binary.LittleEndian.AppendUint32(d, uint32(t.tableL))
	d = binary.LittleEndian.AppendUint32(d, 0)
	d = binary.BigEndian.AppendUint32(d, uint32(t.tableM))
	d = binary.BigEndian.AppendUint32(d, 0)
	d = append(d, record([]byte{0}, root.place, root.size, flagFolder, img.made, nil)...)
	d = append(d, text(128, "")...)     // set of volumes
	d = append(d, text(128, "")...)     // publisher
	d = append(d, text(128, "")...)     // preparer
	d = append(d, text(128, "KILN")...) // application
	for range 3 {
		d = append(d, text(37, "")...) // files with copyright, abstract and bibliography
	}
	d = append(d, volumeTime(img.made)...)
	d = append(d, volumeTime(img.made)...)
	d = append(d, "0000000000000000\x00"...) // it does not expire
	d = append(d, "0000000000000000\x00"...) // it is effective already
	return append(d, 1)
}

func cutUnits(text []uint16, room int) []uint16 { return text[:min(len(text), room)] }

func volumeTime(t time.Time) []byte {
	t = t.UTC()
	year := min(max(t.Year(), 1), 9999)
	return fmt.Appendf(nil, "%04d%s%02d\x00", year, t.Format("0102150405"), t.Nanosecond()/1e7)
}

// writeTo writes the image from beginning to end.
func (img *image) writeTo(ctx context.Context, out io.Writer) error {
	w := &blockWriter{out: out}
	w.zero(systemArea * blockSize)
	for _, t := range img.trees {
		w.block(img.descriptor(t))
	}
	w.block([]byte("\xffCD001\x01"))
	w.block(img.more)
	for _, t := range img.trees {
		w.block(t.pathTable(binary.LittleEndian))
		w.block(t.pathTable(binary.BigEndian))
	}
	for _, t := range img.trees {
		for _, f := range t.folders {
			w.block(img.records(f))
		}
	}
	for _, e := range img.files {
		if w.err != nil {
			return w.err
		}
		if err := w.file(ctx, e.file); err != nil {
			return err
		}
	}
	if w.err == nil && w.at != img.blocks*blockSize {
		return fmt.Errorf("the image has %d bytes, not the %d reckoned", w.at, img.blocks*blockSize)
	}
	return w.err
}

// blockWriter writes whole blocks, until there is an error.
type blockWriter struct {
	out io.Writer
	at  int64
	err error
}

func (w *blockWriter) Write(data []byte) (n int, err error) {
	if w.err != nil {
		return 0, w.err
	}
	n, w.err = w.out.Write(data)
	w.at += int64(n)
	return n, w.err
}

func (w *blockWriter) zero(count int64) { _, _ = w.Write(make([]byte, count)) } // the error stays

// block writes data and fills up its last block.
func (w *blockWriter) block(data []byte) {
	_, _ = w.Write(data) // the error stays
	w.fill()
}

func (w *blockWriter) fill() { w.zero((blockSize - w.at%blockSize) % blockSize) }

// file writes a file, which has the size that was reckoned with or is refused.
func (w *blockWriter) file(ctx context.Context, f *files.File) error {
	r, err := f.Open(ctx)
	if err != nil {
		return fmt.Errorf("Error opening file %s on CD: %w", f.Path, err)
	}
	defer r.Close()
	n, err := io.Copy(w, io.LimitReader(&reader{ctx, r}, f.Size+1))
	switch {
	case err != nil:
		return fmt.Errorf("Error copying %s to CD: %w", f.Path, err)
	case n != f.Size:
		return files.Changed(f.Path)
	}
	w.fill()
	return w.err
}

// reader reads until its context ends.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r *reader) Read(to []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(to)
}
