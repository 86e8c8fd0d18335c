//go:build !linux

package qemu

import (
	"errors"
	"time"
)

func usage(int) (time.Duration, bool, error) { return 0, false, errors.ErrUnsupported }
