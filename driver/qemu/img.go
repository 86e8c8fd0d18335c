package qemu

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"kiln"
	"kiln/driver/process"
)

// Img runs qemu-img and returns what it prints. What it complains of is the error.
func Img(ctx context.Context, b *kiln.Build, args ...string) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, "qemu-img", args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := process.Run(ctx, b, cmd)
	if err == nil {
		return out.Bytes(), nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var exit *exec.ExitError
	if said := strings.TrimSpace(errs.String()); errors.As(err, &exit) && said != "" {
		return nil, fmt.Errorf("QemuImg error: %s", said)
	}
	return nil, fmt.Errorf("qemu-img %s: %w", args[0], err)
}

// Image is what qemu-img says of a disk's file.
type Image struct {
	Format  string `json:"format"`
	Size    int64  `json:"virtual-size"` // of the disk, in bytes
	Actual  int64  `json:"actual-size"`  // of its file
	Backing string `json:"full-backing-filename"`
}

// ImageOf asks for the format of a disk's file. It does not mind that a machine uses it.
func ImageOf(ctx context.Context, b *kiln.Build, path string) (*Image, error) {
	out, err := Img(ctx, b, "info", "-U", "--output=json", path)
	if err != nil {
		return nil, err
	}
	image := new(Image)
	if err := json.Unmarshal(out, image); err != nil {
		return nil, fmt.Errorf("qemu-img info %s: %w", path, err)
	}
	return image, nil
}
