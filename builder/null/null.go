// Package null connects to a machine that exists already and makes nothing: for
// trying provisioners, and for steps on this machine.
package null

import (
	"context"

	"kiln"
	"kiln/communicator"
)

// Builder connects to a machine.
type Builder struct {
	communicator.Config `kiln:",squash"`
}

// Validate reports all that is wrong.
func (n *Builder) Validate() error { return n.Check(true) }

// Start finds the machine there.
func (n *Builder) Start(_ context.Context, b *kiln.Build) (kiln.Machine, error) {
	b.Set("ID", "Null")
	return &machine{n, b}, nil
}

type machine struct {
	*Builder
	b *kiln.Build
}

// Connect connects to it.
func (m *machine) Connect(ctx context.Context) (kiln.Communicator, error) {
	return m.Config.Connect(ctx, m.b, kiln.Target{})
}

// Capture makes nothing.
func (m *machine) Capture(context.Context) (*kiln.Artifact, error) {
	return &kiln.Artifact{
		Builder: "fnoeding.null",
		ID:      "Null",
		Text:    "Did not export anything. This is the null builder",
	}, nil
}
