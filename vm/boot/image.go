package boot

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"kiln"
	"kiln/driver/qemu"
)

// An Image is what a machine is started from.
type Image struct {
	Disks   []Disk // the first is the one to boot
	EFIVars string // file of the machine's EFI variables; "": there is none
}

// A Disk is one that is not written to.
type Disk struct {
	Name   string // as people know it
	File   string // as qemu-img takes it
	Format string
	Size   int64 // in bytes, as the guest sees it
}

// ErrNoDisk is a file that is no disk, or names none.
var ErrNoDisk = errors.New("not a disk that can be booted")

// Find finds the disks of an image in files: the disk itself (qcow2, raw, vmdk, vdi, vhd),
// an OVA or OVF, a vagrant box, or a folder with one of these. Of several files, as an
// artifact has them, those that are no disks are passed over.
func Find(ctx context.Context, b *kiln.Build, paths ...string) (*Image, error) {
	if len(paths) != 1 {
		return findAmong(ctx, b, paths)
	}
	abs, err := filepath.Abs(paths[0])
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: %w", paths[0], kiln.ErrNotFound)
	case err != nil:
		return nil, err
	case info.IsDir():
		return findIn(ctx, b, paths[0])
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", paths[0])
	}
	image, err := read(ctx, b, abs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", paths[0], err)
	}
	return image, nil
}

// findIn finds the image that is in a folder.
func findIn(ctx context.Context, b *kiln.Build, dir string) (*Image, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	image, err := findAmong(ctx, b, paths)
	if errors.Is(err, ErrNoDisk) {
		return nil, fmt.Errorf("the folder %s has no disk: %w", dir, err)
	}
	return image, err
}

// whole are the endings of files that describe all of an image, the better first.
var whole = []string{".ovf", ".ova", ".box"}

// efiVars is the name that the qemu builder gives to EFI variables.
const efiVars = "efivars.fd"

// findAmong finds the image in the files of an artifact.
func findAmong(ctx context.Context, b *kiln.Build, paths []string) (*Image, error) {
	for _, ending := range whole {
		for _, p := range paths {
			if strings.EqualFold(filepath.Ext(p), ending) {
				return Find(ctx, b, p)
			}
		}
	}
	image := new(Image)
	missing := ""
	for _, p := range slices.Sorted(slices.Values(paths)) {
		abs, err := filepath.Abs(p)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(abs); errors.Is(err, fs.ErrNotExist) {
			missing = p
			continue
		}
		if filepath.Base(p) == efiVars {
			image.EFIVars = abs
			continue
		}
		one, err := read(ctx, b, abs)
		if errors.Is(err, ErrNoDisk) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		image.Disks = append(image.Disks, one.Disks...)
	}
	switch {
	case len(image.Disks) > 0:
		return image, nil
	case missing != "":
		return nil, fmt.Errorf("%s: %w", missing, kiln.ErrNotFound)
	}
	return nil, fmt.Errorf("none of these %d files is a disk: %w", len(paths), ErrNoDisk)
}

// read reads one file.
func read(ctx context.Context, b *kiln.Build, file string) (*Image, error) {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".ovf":
		return readOVF(ctx, b, file)
	case ".ova":
		return readOVA(ctx, b, file)
	case ".box":
		return readBox(ctx, b, file)
	case ".gz", ".xz", ".zst", ".bz2", ".lz4", ".zip":
		return nil, fmt.Errorf("it is compressed: unpack it first: %w", ErrNoDisk)
	case ".iso":
		return nil, fmt.Errorf("a CD is not started from: %w", ErrNoDisk)
	}
	disk, err := readDisk(ctx, b, file)
	if err != nil {
		return nil, err
	}
	return &Image{Disks: []Disk{*disk}}, nil
}

// readDisk looks at a disk's file.
func readDisk(ctx context.Context, b *kiln.Build, file string) (*Disk, error) {
	info, err := qemu.ImageOf(ctx, b, file)
	if err != nil {
		return nil, err
	}
	disk := &Disk{Name: filepath.Base(file), File: file, Format: info.Format, Size: info.Size}
	if info.Format != "raw" {
		return disk, nil
	}
	// A fixed VHD is the raw disk and a note at its end.
	fixed, err := isFixedVHD(file)
	switch {
	case err != nil:
		return nil, err
	case fixed:
		disk.Format = "vpc"
		return disk, nil
	}
	// Any file passes for a raw disk: one that boots has a boot sector.
	head, err := readHead(file)
	if err != nil {
		return nil, err
	}
	if !hasBootSector(head) {
		return nil, fmt.Errorf("it has no boot sector, and no format that qemu-img knows: %w", ErrNoDisk)
	}
	return disk, nil
}

const sector = 512

// readHead reads the first two sectors of a file.
func readHead(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 2*sector)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	return head[:n], nil
}

func isFixedVHD(file string) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() < 2*sector {
		return false, err
	}
	foot := make([]byte, 8)
	_, err = f.ReadAt(foot, info.Size()-sector)
	return string(foot) == "conectix", err
}

// magics are how the formats begin that may be within an archive.
var magics = []struct {
	at     int
	text   string
	format string
}{
	{0, "KDMV", "vmdk"}, {0, "QFI\xfb", "qcow2"}, {0, "conectix", "vpc"}, {0, "vhdxfile", "vhdx"},
	{0x40, "\x7f\x10\xda\xbe", "vdi"},
}

// formatOf is the format of a disk that begins so; "": it is none.
func formatOf(head []byte) string {
	for _, m := range magics {
		if len(head) >= m.at+len(m.text) && bytes.Equal(head[m.at:m.at+len(m.text)], []byte(m.text)) {
			return m.format
		}
	}
	if hasBootSector(head) {
		return "raw"
	}
	return ""
}

// readOVA finds the disks within an OVA, and leaves them there: QEMU reads them where they
// are.
func readOVA(ctx context.Context, b *kiln.Build, file string) (*Image, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found := map[string]Disk{}
	var order []string
	in := tar.NewReader(f)
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("it is not an OVA: %w", err)
		}
		name := path.Clean(h.Name)
		if strings.EqualFold(path.Ext(name), ".ovf") {
			text, err := io.ReadAll(io.LimitReader(in, maxOVF))
			if err != nil {
				return nil, err
			}
			if order, err = ovfDisks(text); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			continue
		}
		at, err := f.Seek(0, io.SeekCurrent) // the reader is where the file's content begins
		if err != nil {
			return nil, err
		}
		head := make([]byte, 2*sector)
		n, err := io.ReadFull(in, head)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return nil, err
		}
		if format := formatOf(head[:n]); format != "" && h.Typeflag == tar.TypeReg {
			found[name] = within(file, name, format, at, h.Size)
		}
	}
	if order == nil {
		return nil, fmt.Errorf("it is not an OVA: it has no OVF file: %w", ErrNoDisk)
	}
	image := new(Image)
	for _, name := range order {
		disk, ok := found[path.Clean(name)]
		if !ok {
			return nil, fmt.Errorf("its disk %s is not in it, or has a format that is not known: %w", name, ErrNoDisk)
		}
		info, err := qemu.ImageOf(ctx, b, disk.File)
		if err != nil {
			return nil, err
		}
		disk.Size = info.Size
		image.Disks = append(image.Disks, disk)
	}
	return image, nil
}

// within is a disk that is a part of a file.
func within(file, name, format string, at, size int64) Disk {
	// Text and numbers can always be written as JSON.
	text, _ := json.Marshal(map[string]any{
		"driver": format,
		"file": map[string]any{
			"driver": "raw", "offset": at, "size": size,
			"file": map[string]any{"driver": "file", "filename": file},
		},
	})
	return Disk{Name: name, File: "json:" + string(text), Format: format}
}
