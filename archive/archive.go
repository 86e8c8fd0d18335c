package archive

import (
	"archive/tar"
	"archive/zip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// stamp is the time of every entry: an archive of the same content has the same bytes,
// whenever and by whom it is made. It is the earliest that a zip archive can hold.
var stamp = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// WriteTar writes a tar archive of files under their base names; copyFile brings the
// content of each. Of a file's attributes its mode counts.
func WriteTar(w io.Writer, files []string, copyFile func(io.Writer, string) error) error {
	t := tar.NewWriter(w)
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		h, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		h.Name = filepath.Base(path)
		h.AccessTime, h.ChangeTime, h.Uid, h.Gid = time.Time{}, time.Time{}, 0, 0
		uniform(h)
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if err := copyFile(t, path); err != nil {
			return err
		}
	}
	return t.Close()
}

// WriteZip writes a zip archive of files under their paths; copyFile brings the
// content of each. Of a file's attributes its mode counts.
func WriteZip(w io.Writer, files []string, copyFile func(io.Writer, string) error) error {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return newDeflate(w, -1), nil
	})
	for _, path := range files {
		if err := zipFile(z, path, copyFile); err != nil {
			return errors.Join(err, z.Close()) // ends the compression
		}
	}
	return z.Close()
}

func zipFile(z *zip.Writer, path string, copyFile func(io.Writer, string) error) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	h, err := zip.FileInfoHeader(info)
	if err != nil {
		return err
	}
	h.Name, h.Method = strings.TrimLeft(filepath.ToSlash(path), "/"), zip.Deflate
	h.Modified = stamp
	entry, err := z.CreateHeader(h)
	if err != nil {
		return err
	}
	return copyFile(entry, path)
}
