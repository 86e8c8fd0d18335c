// Package none leads nowhere, for machines that cannot be reached or need not be:
// every use of it is an error.
package none

import (
	"context"
	"fmt"

	"kiln"
)

// Config has no options.
type Config struct{}

// Validate finds nothing wrong.
func (*Config) Validate() error { return nil }

// Alone misses nothing.
func (*Config) Alone() error { return nil }

// Connect connects to nothing.
func (*Config) Connect(_ context.Context, b *kiln.Build, _ kiln.Target) (kiln.Communicator, error) {
	b.SetAccess(kiln.Access{Type: "none"})
	return Communicator{}, nil
}

// Communicator refuses everything.
type Communicator struct{}

// Run is an error: a step that ran nothing must not count as done.
func (Communicator) Run(context.Context, *kiln.Cmd) error {
	return &kiln.StartError{Err: refused("Start"), Final: true}
}

// Upload is an error.
func (Communicator) Upload(context.Context, *kiln.Upload) error { return refused("Upload") }

// Download is an error.
func (Communicator) Download(context.Context, *kiln.Download) error { return refused("Download") }

// Guest is a machine on which nothing can be run.
func (Communicator) Guest() kiln.Guest { return kiln.Guest{} }

// Close does nothing.
func (Communicator) Close() error { return nil }

func refused(op string) error {
	return fmt.Errorf("%s is not implemented when communicator = 'none'", op)
}
