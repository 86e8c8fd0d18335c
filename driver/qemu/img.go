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

// ImgError is what qemu-img complained of before it ended with an exit code.
type ImgError struct {
	Said string
	Code int
}

// Error is what it said.
func (e *ImgError) Error() string { return "QemuImg error: " + e.Said }

// InstallImg says where qemu-img comes from.
const InstallImg = "it is in the package qemu-utils (Debian, Ubuntu), qemu-img (Fedora) or qemu (Homebrew)"

// Img runs qemu-img and returns what it prints. What it complains of is an [*ImgError].
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
		return nil, &ImgError{said, exit.ExitCode()}
	}
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("qemu-img was not found: %s", InstallImg)
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
