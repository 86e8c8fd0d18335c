// Package archive packs files: tar and zip archives, and the compressions that
// artifacts are kept in.
package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/dsnet/compress/bzip2"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/pgzip"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
)

// Compressor compresses what is written to it, by gz, bgzf, lz4, bzip2, xz or, for "",
// not at all. A level of -1 is the algorithm's own. All cores have part in it, and the result is the same
// for any number of them. It must be closed, also after an error; that does not close out.
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
		s := &sticky{}
		w := lz4.NewWriter(s.around(out))
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
		s.in = w
		return s, w.Apply(
			lz4.CompressionLevelOption(levels[max(0, level)]),
			lz4.ConcurrencyOption(runtime.GOMAXPROCS(0)),
		)
	case "bzip2":
		if level < 0 {
			level = 9
		}
		return newStreams(out, level*400_000, func(w io.Writer) (io.WriteCloser, error) {
			return bzip2.NewWriter(w, &bzip2.WriterConfig{Level: level})
		}), nil
	case "xz":
		return newStreams(out, 16<<20, func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) }), nil
	}
	return nil, fmt.Errorf("unknown algorithm %q", algorithm)
}

// sticky stands around a compressor that keeps an error of out to itself until it is closed: who writes to
// it hears of that at once, before the rest of a large file has been compressed for nothing.
type sticky struct {
	in     io.WriteCloser
	failed atomic.Pointer[error]
}

// around is out, whose first error is noted.
func (s *sticky) around(out io.Writer) io.Writer {
	return writer(func(p []byte) (int, error) {
		n, err := out.Write(p)
		if err != nil {
			s.failed.CompareAndSwap(nil, &err)
		}
		return n, err
	})
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// Write hands p to the compressor.
func (s *sticky) Write(p []byte) (int, error) {
	if err := s.failed.Load(); err != nil {
		return 0, *err
	}
	return s.in.Write(p)
}

// Close closes the compressor.
func (s *sticky) Close() error { return s.in.Close() }

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// newStreams writes one complete stream for each so many bytes: to all programs for bzip2 and xz, streams
// in a row are one file.
func newStreams(out io.Writer, size int, open func(io.Writer) (io.WriteCloser, error)) io.WriteCloser {
	b := &blocks{out: out, size: size, compress: func(dst *bytes.Buffer, block, _ []byte, _ bool) error {
		w, err := open(dst)
		if err != nil {
			return err
		}
		_, err = w.Write(block)
		return errors.Join(err, w.Close())
	}}
	return b.start()
}

// newDeflate writes one raw deflate stream. Each block is compressed with what came before it in mind, as it
// would be in one go, and all but the last end at a byte's border.
func newDeflate(out io.Writer, level int) io.WriteCloser {
	var spare sync.Pool
	b := &blocks{out: out, size: 1 << 20, keep: 32 << 10}
	b.compress = func(dst *bytes.Buffer, block, before []byte, last bool) (err error) {
		w, ok := spare.Get().(*flate.Writer)
		if ok {
			w.ResetDict(dst, before)
		} else if w, err = flate.NewWriterDict(dst, level, before); err != nil {
			return err
		}
		defer spare.Put(w)
		if _, err := w.Write(block); err != nil {
			return err
		}
		if last {
			return w.Close()
		}
		return w.Flush()
	}
	return b.start()
}

// newBGZF writes blocked gzip, in which each block of at most 64 KiB is a gzip member that tells its own
// length in an extra field (SAM specification, section 4.1). An empty one ends the file.
func newBGZF(out io.Writer, level int) (io.WriteCloser, error) {
	if level < -1 || level > 9 {
		return nil, fmt.Errorf("compression level %d is not from 1 to 9", level)
	}
	var spare sync.Pool
	const member = 0xff00 // leaves room for data that does not compress
	b := &blocks{out: out, size: 32 * member}
	b.compress = func(dst *bytes.Buffer, block, _ []byte, last bool) (err error) {
		z, ok := spare.Get().(*flate.Writer)
		if !ok {
			if z, err = flate.NewWriter(nil, level); err != nil {
				return err
			}
		}
		defer spare.Put(z)
		for len(block) > 0 {
			n := min(len(block), member)
			if err := writeMember(dst, z, block[:n]); err != nil {
				return err
			}
			block = block[n:]
		}
		if last {
			return writeMember(dst, z, nil)
		}
		return nil
	}
	return b.start(), nil
}

// writeMember writes one block of bgzf.
func writeMember(dst *bytes.Buffer, z *flate.Writer, block []byte) error {
	from := dst.Len()
	dst.Write([]byte{0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0, 'B', 'C', 2, 0, 0, 0})
	z.Reset(dst)
	if _, err := z.Write(block); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	tail := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(block))
	dst.Write(binary.LittleEndian.AppendUint32(tail, uint32(len(block))))
	size := dst.Len() - from
	if size > 1<<16 {
		return fmt.Errorf("block grew to %d bytes", size)
	}
	binary.LittleEndian.PutUint16(dst.Bytes()[from+16:], uint16(size-1))
	return nil
}
