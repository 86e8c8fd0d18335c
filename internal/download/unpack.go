package download

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"kiln"
)

// unpackedSuffix stands behind the name of a file that is being unpacked, and in front of
// letters of its own.
const unpackedSuffix = ".kiln-unpacked-"

// unpack puts the one file that a packed one holds in its place, and notes what is known of
// it. What is not whole yet is the build's.
func (l *load) unpack(ctx context.Context, packed string, n notes) (err error) {
	part := kiln.Resource{Kind: kiln.KindFile, ID: l.target + unpackedSuffix + kiln.RandomName(10)}
	if err := l.b.Own(part, kiln.RemoveFile(part)); err != nil {
		return err
	}
	if l.r.For != "" {
		l.b.Say("Unpacking %s", l.name())
	}
	if err = l.unpackTo(ctx, packed, part.ID); err == nil {
		n.Mark, err = kiln.Mark(part.ID)
	}
	if err == nil {
		err = l.write(l.target, l.want, n)
	}
	if err == nil {
		err = os.Rename(part.ID, l.target)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("unpack %s: %w", packed, err), l.b.Destroy(context.WithoutCancel(ctx), part))
	}
	return l.b.Forget(part)
}

func (l *load) unpackTo(ctx context.Context, packed, to string) error {
	in, err := os.Open(packed)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = unpack(ctx, l.packed, in, out)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

func unpack(ctx context.Context, kind string, in *os.File, out io.Writer) error {
	if kind == "zip" {
		return unzip(ctx, in, out)
	}
	r, tarred, done, err := decompress(kind, bufio.NewReaderSize(in, blockSize))
	if err != nil {
		return err
	}
	defer done()
	if tarred {
		return untar(ctx, r, out)
	}
	_, err = io.Copy(out, &reader{ctx, r})
	return err
}

// shortTar are short names of compressed tar archives.
var shortTar = map[string]string{"tbz2": "tar.bz2", "tgz": "tar.gz", "txz": "tar.xz", "tzst": "tar.zst"}

// decompress reads what was compressed. Tarred says that it is a tar archive.
func decompress(kind string, in io.Reader) (r io.Reader, tarred bool, done func(), err error) {
	if long := shortTar[kind]; long != "" {
		kind = long
	}
	kind, tarred = strings.CutPrefix(kind, "tar")
	kind, done = strings.TrimPrefix(kind, "."), func() {}
	switch kind {
	case "":
		return in, tarred, done, nil
	case "bz2":
		return bzip2.NewReader(in), tarred, done, nil
	case "gz":
		r, err = gzip.NewReader(in)
	case "xz":
		r, err = xz.NewReader(in)
	case "zst":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(in); err == nil {
			r, done = z, z.Close
		}
	default:
		err = fmt.Errorf("it is packed as %q, which is not known", kind)
	}
	return r, tarred, done, err
}

// untar writes the one file of a tar archive.
func untar(ctx context.Context, in io.Reader, out io.Writer) error {
	t := tar.NewReader(in)
	found := ""
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) && found != "" {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return errors.New("there is no file in it")
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if found != "" {
			return fmt.Errorf("expected a single file: %s and %s are in it", found, h.Name)
		}
		found = path.Base(h.Name)
		if _, err := io.Copy(out, &reader{ctx, t}); err != nil {
			return err
		}
	}
}

// unzip writes the one file of a zip archive.
func unzip(ctx context.Context, in *os.File, out io.Writer) error {
	info, err := in.Stat()
	if err != nil {
		return err
	}
	z, err := zip.NewReader(in, info.Size())
	if err != nil {
		return err
	}
	var one *zip.File
	for _, f := range z.File {
		switch {
		case !f.Mode().IsRegular():
		case one != nil:
			return fmt.Errorf("expected a single file: %s and %s are in it", one.Name, f.Name)
		default:
			one = f
		}
	}
	if one == nil {
		return errors.New("there is no file in it")
	}
	r, err := one.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(out, &reader{ctx, r})
	return err
}

// reader reads until its context ends.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}
