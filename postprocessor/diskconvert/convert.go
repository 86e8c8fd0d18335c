package diskconvert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"kiln"
	"kiln/driver/disk"
	"kiln/driver/qemu"
)

// convert writes a disk to a file of the wanted format, and looks at what came of it.
func (p *PostProcessor) convert(ctx context.Context, b *kiln.Build, d source, to string) error {
	from, err := filepath.Abs(d.path) // qemu-img takes the beginning of other paths for a protocol
	if err != nil {
		return err
	}
	before, err := look(ctx, b, d.format, from)
	if err != nil {
		return err
	}
	// What a disk that was cut off names and does not hold would be read as zeros.
	if err := check(ctx, b, d.format, from); err != nil {
		return fmt.Errorf("the disk is damaged: %w", err)
	}
	if _, err := qemu.Img(ctx, b, p.args(d.format, from, to)...); err != nil {
		return err
	}
	format := qemuName(p.Format)
	if err := check(ctx, b, format, to); err != nil {
		return fmt.Errorf("the result is damaged: %w", err)
	}
	after, err := look(ctx, b, format, to)
	if err != nil {
		return fmt.Errorf("the result: %w", err)
	}
	return p.compare(before, after)
}

// compare refuses a result that is not as large as its disk.
func (p *PostProcessor) compare(before, after int64) error {
	rounded := (before + 511) / 512 * 512
	if after == rounded || p.Options["force_size"] == "off" && after > rounded {
		return nil
	}
	return fmt.Errorf("the disk has %d bytes, and the result %d", before, after)
}

// args is the command line of the conversion. Blocks of zeros stay holes.
func (p *PostProcessor) args(format, from, to string) []string {
	args := []string{"convert", "-f", format, "-O", qemuName(p.Format)}
	subformat := p.Subformat
	if p.Compression {
		args = append(args, "-c")
		if p.Format == disk.VMDK {
			subformat = "streamOptimized"
		}
	}
	options := map[string]string{}
	switch {
	case p.Format == disk.VDI && subformat == "fixed":
		options["static"] = "on"
	case p.Format != disk.VDI && subformat != "":
		options["subformat"] = subformat
	}
	if p.Format == "vhd" {
		// Else the size is what cylinders, heads and sectors of the time of the first PCs come to.
		options["force_size"] = "on"
	}
	maps.Copy(options, p.Options)
	for _, name := range slices.Sorted(maps.Keys(options)) {
		args = append(args, "-o", name+"="+strings.ReplaceAll(options[name], ",", ",,"))
	}
	return append(args, from, to)
}

// look asks for the size of a disk as its guest sees it, in bytes.
func look(ctx context.Context, b *kiln.Build, format, path string) (int64, error) {
	out, err := qemu.Img(ctx, b, "info", "--output=json", "-f", format, path)
	if err != nil {
		return 0, err
	}
	var is qemu.Image
	if err := json.Unmarshal(out, &is); err != nil {
		return 0, fmt.Errorf("what qemu-img info prints: %w", err)
	}
	return is.Size, nil
}

// leaks is how qemu-img check ends where nothing is wrong but that some room is wasted.
const leaks = 3

// check looks for damage in what the format keeps of a disk.
func check(ctx context.Context, b *kiln.Build, format, path string) error {
	if format == disk.Raw || format == disk.VHD {
		return nil // they keep nothing that can be looked at
	}
	_, err := qemu.Img(ctx, b, "check", "-f", format, path)
	if said, ok := errors.AsType[*qemu.ImgError](err); ok && said.Code == leaks {
		return nil
	}
	return err
}
