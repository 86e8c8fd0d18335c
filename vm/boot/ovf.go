package boot

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"kiln"
)

const (
	maxOVF = 16 << 20
	maxBox = 1 << 44 // of one file in a box
)

// envelope is what of an OVF names disks.
type envelope struct {
	XMLName xml.Name `xml:"Envelope"`
	Files   []struct {
		ID   string `xml:"id,attr"`
		Href string `xml:"href,attr"`
	} `xml:"References>File"`
	Disks []struct {
		File string `xml:"fileRef,attr"`
	} `xml:"DiskSection>Disk"`
}

// ovfDisks are the files of an OVF's disks, in its order.
func ovfDisks(text []byte) ([]string, error) {
	var e envelope
	if err := xml.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("it is not an OVF: %w", err)
	}
	var names []string
	for _, d := range e.Disks {
		for _, f := range e.Files {
			if f.ID == d.File && f.Href != "" {
				names = append(names, f.Href)
			}
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("it names no disk's file: %w", ErrNoDisk)
	}
	for _, name := range names {
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return nil, fmt.Errorf("its disk %q is not beside it: %w", name, ErrNoDisk)
		}
	}
	return names, nil
}

// readOVF finds the disks that an OVF names beside it.
func readOVF(ctx context.Context, b *kiln.Build, file string) (*Image, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxOVF))
	if err != nil {
		return nil, err
	}
	names, err := ovfDisks(text)
	if err != nil {
		return nil, err
	}
	image := new(Image)
	for _, name := range names {
		disk, err := readDisk(ctx, b, filepath.Join(filepath.Dir(file), filepath.FromSlash(name)))
		if err != nil {
			return nil, fmt.Errorf("its disk %s: %w", name, err)
		}
		image.Disks = append(image.Disks, *disk)
	}
	return image, nil
}

// readBox unpacks a vagrant box and finds the disks in it.
func readBox(ctx context.Context, b *kiln.Build, file string) (*Image, error) {
	dir, _, err := b.TempDir("kiln-box-")
	if err != nil {
		return nil, err
	}
	b.Say("Unpacking %s...", filepath.Base(file))
	paths, err := unpack(ctx, file, dir)
	if err != nil {
		return nil, fmt.Errorf("it is not a box that can be unpacked: %w", err)
	}
	// Of what is in it only these are disks for sure: boxes may hold any file.
	image, err := findAmong(ctx, b, slices.DeleteFunc(paths, func(p string) bool {
		return strings.HasSuffix(p, ".json") || filepath.Base(p) == "Vagrantfile"
	}))
	if errors.Is(err, ErrNoDisk) {
		return nil, fmt.Errorf("it has no disk, as boxes for clouds and containers have none: %w", ErrNoDisk)
	}
	return image, err
}

// unpack unpacks the files of a tar, which may be compressed with gzip, into a folder.
func unpack(ctx context.Context, file, dir string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var from io.Reader = f
	if z, err := gzip.NewReader(f); err == nil {
		from = z
	} else if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	var paths []string
	for in := tar.NewReader(from); ; {
		h, err := in.Next()
		if err == io.EOF {
			return paths, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		name := filepath.FromSlash(path.Clean(h.Name))
		if !filepath.IsLocal(name) {
			return nil, fmt.Errorf("the name %q in it leads out of it", h.Name)
		}
		to := filepath.Join(dir, name)
		if err := unpackFile(ctx, in, to); err != nil {
			return nil, err
		}
		paths = append(paths, to)
	}
}

func unpackFile(ctx context.Context, in io.Reader, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, &cancelled{ctx, io.LimitReader(in, maxBox)})
	return errors.Join(err, out.Close())
}

// cancelled is a reader that ends with its context.
type cancelled struct {
	ctx context.Context
	in  io.Reader
}

func (c *cancelled) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.in.Read(p)
}
