// Package cloudbox makes images of boxes in a cloud that is a folder, as a builder that a
// newcomer adds.
package cloudbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"kiln"
	"kiln/communicator"
)

// Owner is whose the boxes and images are.
const Owner = "builder.cloudbox"

// Builder makes a box.
type Builder struct {
	communicator.Config `kiln:",squash"`
	// The folder that is the cloud.
	Region string `kiln:"region,required"`
}

// Validate reports all that is wrong.
func (c *Builder) Validate() error {
	if c.Region == "" {
		return kiln.Invalid("region", "region must be specified")
	}
	return c.Check(false)
}

// Start makes the box.
func (c *Builder) Start(_ context.Context, b *kiln.Build) (kiln.Machine, error) {
	m := &machine{Builder: c, b: b, box: c.thing("box", "box-"+b.Run+"-"+kiln.RandomName(6))}
	if err := b.Own(m.box, func(ctx context.Context) error { return c.Reap(ctx, m.box) }); err != nil {
		return nil, err
	}
	if err := os.Mkdir(place(m.box), 0o755); err != nil {
		return nil, fmt.Errorf("make box: %w", err)
	}
	return m, nil
}

func (c *Builder) thing(kind, id string) kiln.Resource {
	return kiln.Resource{Owner: Owner, Kind: kind, ID: id, Attrs: map[string]string{"region": c.Region}}
}

// place is where a thing of the cloud is.
func place(r kiln.Resource) string { return filepath.Join(r.Attrs["region"], r.ID) }

// Reap destroys a box or an image.
func (c *Builder) Reap(_ context.Context, r kiln.Resource) error { return os.RemoveAll(place(r)) }

// Owned finds the boxes of a run by their names.
func (c *Builder) Owned(_ context.Context, run string, example kiln.Resource) ([]kiln.Resource, error) {
	found, err := filepath.Glob(filepath.Join(example.Attrs["region"], "box-"+run+"-*"))
	var all []kiln.Resource
	for _, path := range found {
		all = append(all, kiln.Resource{Owner: Owner, Kind: "box", ID: filepath.Base(path), Attrs: example.Attrs})
	}
	return all, err
}

// machine is a box that runs.
type machine struct {
	*Builder
	b   *kiln.Build
	box kiln.Resource
}

// Connect connects to the box with the communicator that the template chose.
func (m *machine) Connect(ctx context.Context) (kiln.Communicator, error) {
	return m.Config.Connect(ctx, m.b, kiln.Target{
		Host: func(context.Context) (string, error) { return place(m.box), nil },
	})
}

// Capture makes an image of the box.
func (m *machine) Capture(ctx context.Context) (*kiln.Artifact, error) {
	image := m.thing("image", "image-"+m.b.Source+"-"+kiln.RandomName(6))
	if err := m.b.Own(image, func(ctx context.Context) error { return m.Reap(ctx, image) }); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := os.CopyFS(place(image), os.DirFS(place(m.box))); err != nil {
		return nil, fmt.Errorf("copy box: %w", err)
	}
	return &kiln.Artifact{
		Builder: "example.cloudbox", ID: image.ID, Text: "An image in " + m.Region + ": " + image.ID,
		Resources: []kiln.Resource{image},
	}, m.b.Release(image)
}
