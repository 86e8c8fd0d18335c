// Package disk tells what kind of disk image a file is, by what stands in it, without a program.
package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

// Formats of disk images, as qemu-img names them.
const (
	Raw   = "raw"
	QCOW2 = "qcow2"
	VMDK  = "vmdk"
	VHD   = "vpc"
	VDI   = "vdi"
	VHDX  = "vhdx"
)

// Image is what the beginning and the end of a file tell of it.
type Image struct {
	// Format is one of those above; "" where nothing tells, which may be a raw disk or no disk.
	Format string
	// Partitioned: what tells is a table of partitions, so that it is a raw disk.
	Partitioned bool
	// Backing is the path of the image that a qcow2 image stands on; "" for one that stands alone.
	Backing string
	// VirtualSize is what the guest sees, in bytes, where the format is qcow2 or raw; else 0.
	VirtualSize int64
}

// Look reads what kind of image the file at path is.
func Look(path string) (Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return Image{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Image{}, err
	}
	if !info.Mode().IsRegular() {
		return Image{}, fmt.Errorf("%s is not a file", path)
	}
	i, err := Sniff(f, info.Size())
	if err != nil {
		return i, fmt.Errorf("read the header of %s: %w", path, err)
	}
	return i, nil
}

// Sniff tells what kind of image r is, which has size bytes. What is too short, or is none, is no error.
func Sniff(r io.ReaderAt, size int64) (Image, error) {
	head := make([]byte, min(size, 4096))
	if _, err := r.ReadAt(head, 0); err != nil && err != io.EOF {
		return Image{}, err
	}
	at := func(offset int, magic string) bool {
		return len(head) >= offset+len(magic) && string(head[offset:offset+len(magic)]) == magic
	}
	switch {
	case at(0, "QFI\xfb"):
		return qcow2(r, head)
	case at(0, "KDMV"), at(0, "COWD"), at(0, "# Disk DescriptorFile"):
		return Image{Format: VMDK}, nil
	case at(0, "vhdxfile"):
		return Image{Format: VHDX}, nil
	case at(64, "\x7f\x10\xda\xbe"):
		return Image{Format: VDI}, nil
	case at(0, "conectix"):
		return Image{Format: VHD}, nil
	case at(510, "\x55\xaa"), at(512, "EFI PART"):
		// A VHD of fixed size is a raw disk with a footer.
		tail := make([]byte, 8)
		if _, err := r.ReadAt(tail, max(0, size-512)); err != nil && err != io.EOF {
			return Image{}, err
		}
		if string(tail) == "conectix" {
			return Image{Format: VHD}, nil
		}
		return Image{Format: Raw, Partitioned: true, VirtualSize: size}, nil
	}
	return Image{}, nil
}

// qcow2 reads the header of a qcow2 image (docs/interop/qcow2.txt of QEMU).
func qcow2(r io.ReaderAt, head []byte) (Image, error) {
	if len(head) < 32 {
		return Image{}, nil
	}
	i := Image{Format: QCOW2, VirtualSize: int64(binary.BigEndian.Uint64(head[24:]))}
	offset, length := binary.BigEndian.Uint64(head[8:]), binary.BigEndian.Uint32(head[16:])
	if offset == 0 || length == 0 || length > 1023 || offset > 1<<40 {
		return i, nil
	}
	name := make([]byte, length)
	n, err := r.ReadAt(name, int64(offset))
	if err != nil && err != io.EOF {
		return i, err
	}
	i.Backing = string(bytes.TrimRight(name[:n], "\x00"))
	return i, nil
}
