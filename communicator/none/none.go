// Package none is the way into a machine that there is no way into.
package none

import (
	"context"
	"fmt"

	"kiln"
)

// Communicator runs nothing, and says so of files.
type Communicator struct{}

// Run succeeds without doing anything, as templates rely on.
func (Communicator) Run(context.Context, *kiln.Cmd) error { return nil }

// Upload is an error.
func (Communicator) Upload(context.Context, *kiln.Upload) error { return refused("Upload") }

// Download is an error.
func (Communicator) Download(context.Context, *kiln.Download) error { return refused("Download") }

// Close does nothing.
func (Communicator) Close() error { return nil }

func refused(op string) error {
	return fmt.Errorf("%s is not implemented when communicator = 'none'", op)
}
