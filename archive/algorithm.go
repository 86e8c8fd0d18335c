// Package archive packs files: tar and zip archives, and the compressions that
// artifacts are kept in.
package archive

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"

	"github.com/dsnet/compress/bzip2"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/pgzip"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
)

// Compressor compresses what is written to it, by gz, bgzf, lz4, bzip2, xz or, for "",
// not at all. A level of -1 is the algorithm's own. Closing it does not close out.
func Compressor(out io.Writer, algorithm string, level int) (io.WriteCloser, error) {
	switch algorithm {
	case "":
		return nopCloser{out}, nil
	case "gz":
		w, err := pgzip.NewWriterLevel(out, level)
		if err == nil {
			err = w.SetConcurrency(500_000, runtime.GOMAXPROCS(0))
		}
		return w, err
	case "bgzf":
		return newBGZF(out, level)
	case "lz4":
		w := lz4.NewWriter(out)
		levels := []lz4.CompressionLevel{
			lz4.Fast,
			lz4.Level1,
			lz4.Level2,
			lz4.Level3,
			lz4.Level4,
			lz4.Level5,
			lz4.Level6,
			lz4.Level7,
			lz4.Level8,
			lz4.Level9,
		}
		return w, w.Apply(
			lz4.CompressionLevelOption(levels[max(0, level)]),
			lz4.ConcurrencyOption(runtime.GOMAXPROCS(0)),
		)
	case "bzip2":
		if level < 0 {
			level = 9
		}
		return bzip2.NewWriter(out, &bzip2.WriterConfig{Level: level})
	case "xz":
		return xz.NewWriter(out)
	}
	return nil, fmt.Errorf("unknown algorithm %q", algorithm)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// bgzf writes blocked gzip, in which each block of at most 64 KiB is a gzip member
// that tells its own length in an extra field (SAM specification, section 4.1).
type bgzf struct {
	out   io.Writer
	level int
	block []byte
}

// blockSize leaves room for data that does not compress.
const blockSize = 0xff00

func newBGZF(out io.Writer, level int) (*bgzf, error) {
	if level < -1 || level > 9 {
		return nil, fmt.Errorf("compression level %d is not from 1 to 9", level)
	}
	return &bgzf{out: out, level: level}, nil
}

// Write collects whole blocks.
func (w *bgzf) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		take := min(len(p), blockSize-len(w.block))
		w.block, p = append(w.block, p[:take]...), p[take:]
		if len(w.block) == blockSize {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (w *bgzf) flush() error {
	var body bytes.Buffer
	z, err := flate.NewWriter(&body, w.level)
	if err != nil {
		return err
	}
	if _, err := z.Write(w.block); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	head := []byte{0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0, 'B', 'C', 2, 0, 0, 0}
	size := len(head) + body.Len() + 8
	if size > 1<<16 {
		return fmt.Errorf("block grew to %d bytes", size)
	}
	binary.LittleEndian.PutUint16(head[16:], uint16(size-1))
	tail := binary.LittleEndian.AppendUint32(nil, crc(w.block))
	tail = binary.LittleEndian.AppendUint32(tail, uint32(len(w.block)))
	for _, part := range [][]byte{head, body.Bytes(), tail} {
		if _, err := w.out.Write(part); err != nil {
			return err
		}
	}
	w.block = w.block[:0]
	return nil
}

// Close writes the rest and the empty block that ends the file.
func (w *bgzf) Close() error {
	if len(w.block) > 0 {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.block = nil
	return w.flush()
}

func crc(p []byte) uint32 { return crc32.ChecksumIEEE(p) }
