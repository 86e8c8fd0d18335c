package qemu

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"kiln"
	"kiln/driver/qemu"
)

// image is the file of the disk that the build makes.
func (m *machine) image() string { return filepath.Join(m.output.Path, m.name) }

// mainDisk is the file of the disk that the machine writes to.
func (m *machine) mainDisk() string { return cmp.Or(m.disk, m.image()) }

// diskPaths are the files of all disks, the main one first.
func (m *machine) diskPaths() []string {
	all := []string{m.mainDisk()}
	for i := range m.cfg.MoreDisks {
		all = append(all, m.image()+"-"+strconv.Itoa(i+1))
	}
	return all
}

// converts reports whether the disk is converted when the machine is off. Then nothing needs
// to be copied before it starts: it runs on the difference from the template's disk, and
// the conversion makes one of both.
func (c *Builder) converts() bool { return !c.SkipCompaction || c.Compress }

// makeDisks makes the disks before the machine is started.
func (m *machine) makeDisks(ctx context.Context) error {
	c := m.cfg
	if m.chain.work != "" {
		m.disk = m.nextDisk()
	}
	if m.chain.on != nil {
		return m.resumeDisk(ctx)
	}
	if len(c.MoreDisks) > 0 || c.UseBacking {
		m.b.Say("Creating required virtual machine disks")
	}
	var err error
	switch {
	case !c.DiskImage:
		err = m.create(ctx, m.mainDisk(), c.DiskSize)
	case c.UseBacking:
		err = m.overlay(ctx, "qcow2", c.DiskSize)
	case c.converts():
		err = m.stand(ctx)
	default:
		err = m.copyDisk(ctx)
	}
	for i, size := range c.MoreDisks {
		if err == nil {
			err = m.create(ctx, m.diskPaths()[i+1], size)
		}
	}
	if err == nil && c.DiskImage && !c.SkipResize {
		m.b.Say("Resizing hard drive...")
		args := append([]string{"resize", "-f", c.Format}, c.ImgArgs.resize()...)
		_, err = qemu.Img(ctx, m.b, append(args, m.mainDisk(), c.DiskSize)...)
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("Error creating hard drive: %w", err)
	}
	return err
}

func (m *machine) create(ctx context.Context, path, size string) error {
	args := append([]string{"create", "-f", m.cfg.Format}, m.cfg.ImgArgs.create()...)
	_, err := qemu.Img(ctx, m.b, append(args, path, size)...)
	return err
}

// overlay makes the main disk as the difference from the template's, which has a format;
// without a size it is as large as that.
func (m *machine) overlay(ctx context.Context, format string, size ...string) error {
	base, err := filepath.Abs(m.iso)
	if err != nil {
		return err
	}
	args := append([]string{"create", "-f", m.cfg.Format, "-b", base, "-F", format}, m.cfg.ImgArgs.create()...)
	_, err = qemu.Img(ctx, m.b, append(append(args, m.mainDisk()), size...)...)
	return err
}

// stand lets the machine run on the template's disk without a copy of it.
func (m *machine) stand(ctx context.Context) error {
	image, err := qemu.ImageOf(ctx, m.b, m.iso)
	if err != nil {
		return err
	}
	return m.overlay(ctx, image.Format)
}

// copyDisk makes the main disk as a copy of the template's.
func (m *machine) copyDisk(ctx context.Context) error {
	if strings.TrimPrefix(filepath.Ext(m.iso), ".") == m.cfg.Format {
		m.b.Say("File extension already matches desired output format. Skipping qemu-img convert step")
		return copySparse(ctx, m.mainDisk(), m.iso)
	}
	m.b.Say("Copying hard drive...")
	_, err := qemu.Img(ctx, m.b, "convert", "-O", m.cfg.Format, m.iso, m.mainDisk())
	return err
}

// blockSize is how much is looked at for zeroes at once.
const blockSize = 256 << 10

// copySparse copies a file, without room for zeroes.
func copySparse(ctx context.Context, to, from string) error {
	in, err := kiln.Open(ctx, from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(copyBlocks(ctx, out, in), out.Close())
}

func copyBlocks(ctx context.Context, out *os.File, in io.Reader) error {
	block, zeroes := make([]byte, blockSize), make([]byte, blockSize)
	var size int64
	for {
		n, err := io.ReadFull(in, block)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if n > 0 && string(block[:n]) != string(zeroes[:n]) {
			if _, err := out.WriteAt(block[:n], size); err != nil {
				return err
			}
		}
		size += int64(n)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return out.Truncate(size)
		case err != nil:
			return err
		}
	}
}

// parallel are the arguments by which qemu-img compresses on several processors. The
// result has the same format, and the same content.
var parallel = []string{"-W", "-m", "16"}

// compact converts the main disk when the machine is off: what is unused goes, and what it
// stood on comes in.
func (m *machine) compact(ctx context.Context) error {
	if !m.cfg.converts() {
		return nil
	}
	m.b.Say("Converting hard drive...")
	image := m.image()
	args := []string{"convert"}
	if m.cfg.Compress {
		args = append(args, "-c")
		args = append(args, parallel...)
	}
	args = append(args, m.cfg.ImgArgs.convert()...)
	args = append(args, "-O", m.cfg.Format, m.mainDisk(), image+".convert")
	if err := m.convert(ctx, args); err != nil {
		return err
	}
	if err := os.Rename(image+".convert", image); err != nil {
		return fmt.Errorf("Error moving converted hard drive: %w", err)
	}
	return nil
}

// locked is what qemu-img says of a disk that an emulator has not let go of.
const locked = `Failed to get shared "write" lock`

// lockTries is how often the disk is tried.
const lockTries = 10

func (m *machine) convert(ctx context.Context, args []string) error {
	for try, pause := 1, 100*time.Millisecond; ; try, pause = try+1, min(2*pause, 10*time.Second) {
		_, err := qemu.Img(ctx, m.b, args...)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !strings.Contains(err.Error(), locked):
			return fmt.Errorf("Error converting hard drive: %w", err)
		case try == lockTries:
			return fmt.Errorf("Exhausted retries for getting file lock: %w", err)
		}
		m.b.Say("Error getting file lock for conversion; retrying...")
		if err := kiln.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// copyEFIVars gives the machine EFI variables of its own.
func (m *machine) copyEFIVars(context.Context) error {
	if !m.cfg.EFI {
		return nil
	}
	m.efiVars = filepath.Join(m.output.Path, "efivars.fd")
	from := m.cfg.EFIVars
	if on := m.chain.on; on != nil && on.EFI {
		from = m.chain.store.efi(on.Name)
	}
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(m.efiVars, text, 0o660)
	}
	if err != nil {
		return fmt.Errorf("Error copying EFI variables: %w", err)
	}
	return nil
}
