package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"kiln"
	"kiln/driver/docker"
)

// layerRepository is the name under which layers are kept on the engine. A layer that is
// being made has a tag of its own there, which begins as partTag does.
const (
	layerRepository = "kiln-layer"
	partTag         = "part-"
	layerPart       = "layer-part" // kind of such a tag as a resource
)

func layerName(key kiln.LayerKey) string { return layerRepository + ":" + string(key) }

// Comments of layers. The second one says that it changes or removes what a layer below
// it holds, which an image made of it must not keep.
const (
	layerComment   = "kiln layer"
	coveredComment = "kiln layer that covers another"
)

// Limits of a chain of layers.
const (
	maxDepth  = 90      // layers of an image; the engine has at most 127
	smallSwap = 4 << 20 // bytes that may be kept again with each further layer
)

// chain is what the container stands on.
type chain struct {
	from     string // id of the image or layer that the container is made of
	size     int64  // of that image
	depth    int    // layers of that image
	resumed  int    // steps that the layer stands for
	steps    int    // of all
	wanted   bool   // layers are wanted at all
	covered  bool   // a layer changes what a layer below it holds
	kept     int64  // bytes kept again since the container was made
	outside  string // what a layer would not hold, in words; "": nothing known
	baseline string // state of the container that a layer does not hold, as it was first
}

// identity is what an image is, by content: two commits of the same files and
// settings have different ids, because an id also covers the time.
func identity(source image.InspectResponse) string {
	if len(source.RootFS.Layers) == 0 {
		return source.ID
	}
	text, err := json.Marshal(
		[]any{source.RootFS.Layers, source.Config, source.Os, source.Architecture, source.Variant},
	)
	if err != nil {
		return source.ID
	}
	return string(text)
}

// shape is all that the container is made with beside the image, also what comes from
// this machine, such as the value of a variable.
func (m *machine) shape() (string, error) {
	const image = "image" // another one for each layer: the source counts by its identity
	args, err := m.args(image)
	if err != nil {
		return "", err
	}
	m.chain.outside = args.volatile(m.source)
	if args.config.Image != image {
		m.chain.outside = "run_command names another image"
	}
	text, err := json.Marshal([]any{args.config, args.host, args.networks})
	return string(text), err
}

// volatile names what steps may change that an image does not hold; "": nothing.
func (r *runArgs) volatile(source image.InspectResponse) string {
	switch {
	case len(r.host.Binds) > 0:
		return "the container sees the volume " + r.host.Binds[0]
	case len(r.host.Mounts) > 0:
		return "the container has a mount on " + r.host.Mounts[0].Target
	case len(r.host.VolumesFrom) > 0:
		return "the container has the volumes of " + r.host.VolumesFrom[0]
	case len(r.host.Tmpfs) > 0:
		return "the container has a tmpfs"
	case len(r.host.Devices) > 0:
		return "the container sees the device " + r.host.Devices[0].PathOnHost
	case len(r.host.DeviceRequests) > 0:
		return "the container sees devices of a driver"
	}
	for path := range r.config.Volumes {
		return "the container has the volume " + path
	}
	if source.Config != nil {
		for path := range source.Config.Volumes {
			return "the source image has the volume " + path
		}
	}
	return ""
}

// findLayer looks for the deepest kept layer.
func (m *machine) findLayer(ctx context.Context) error {
	c := &m.chain
	c.from, c.size, c.depth = m.source.ID, m.source.Size, len(m.source.RootFS.Layers)
	shape, err := m.shape()
	if err != nil {
		return err
	}
	podman, err := m.engine.Podman(ctx)
	if err != nil {
		return err
	}
	if podman && c.outside == "" {
		c.outside = "the engine is podman's"
	}
	keys := m.b.Layers(identity(m.source) + " " + shape)
	c.wanted = keys != nil
	if c.outside != "" {
		return nil
	}
	for n := len(keys) - 1; n > 0; n-- {
		if keys[n] == "" {
			continue
		}
		info, err := m.engine.ImageInspect(ctx, layerName(keys[n]))
		if err == nil {
			c.from, c.size, c.depth = info.ID, info.Size, len(info.RootFS.Layers)
			c.resumed, c.steps, c.covered = n, len(keys)-1, info.Comment == coveredComment
			return nil
		}
		if !docker.Absent(err) {
			return fmt.Errorf("look for layers: %w", err)
		}
	}
	return nil
}

// FindLayer looks for the deepest kept layer of an image that is on the engine.
func (c *Builder) FindLayer(ctx context.Context, b *kiln.Build) (int, *kiln.Artifact, error) {
	if c.Build != nil {
		return 0, nil, errors.New("the image is built from a Dockerfile first")
	}
	engine, err := c.Open(ctx)
	if err != nil {
		return 0, nil, err
	}
	defer engine.Close()
	source, err := engine.ImageInspect(ctx, c.Image)
	if docker.Absent(err) {
		return 0, nil, fmt.Errorf("the image %s is not on the engine", c.Image)
	}
	if err != nil {
		return 0, nil, err
	}
	m := &machine{cfg: c, b: b, engine: engine, source: source.InspectResponse}
	if err := m.findLayer(ctx); err != nil {
		return 0, nil, err
	}
	if m.chain.outside != "" {
		return 0, nil, errors.New(m.chain.outside)
	}
	if c.Pull && !imageID.MatchString(c.Image) && !strings.Contains(c.Image, "@sha256:") {
		b.Warn("the image %s is pulled first, and the registry may have a newer one", c.Image)
	}
	last, err := m.lastThere(ctx)
	return m.chain.resumed, last, err
}

// Resumed is the number of steps that the layer stands for.
func (m *machine) Resumed() int { return m.chain.resumed }

// Overhead is that of the looks at the container, of a commit and mostly of a container
// that takes another one's place, which the first one told. What a layer holds is not
// written again when the container is committed.
func (m *machine) Overhead() time.Duration { return usualOverhead/4 + max(m.made, usualOverhead*3/4) }

// usualOverhead is that of an engine with nothing else to do.
const usualOverhead = 400 * time.Millisecond

// Checkpoint keeps the container's state as a layer.
func (m *machine) Checkpoint(ctx context.Context, key kiln.LayerKey, last bool) error {
	if err := m.holdable(ctx); err != nil {
		return err
	}
	if err := m.noteCovered(ctx); err != nil {
		return err
	}
	id, part, err := m.commitPart(ctx)
	if err != nil {
		return err
	}
	if err := m.publish(ctx, key, id); err != nil {
		return err
	}
	// The part's name holds the layer until a container may stand on it, whoever prunes.
	err = m.swap(ctx, id, last)
	return errors.Join(err, m.b.Destroy(context.WithoutCancel(ctx), part))
}

// commitPart commits the container under a name of its own, so that a crash or another
// build that makes the same layer meets no name but that.
func (m *machine) commitPart(ctx context.Context) (id string, part kiln.Resource, err error) {
	part = m.resource(layerPart, layerRepository+":"+partTag+kiln.RandomName(12))
	part.Attrs["container"] = m.name
	if err := m.b.Own(part, func(ctx context.Context) error { return m.cfg.Reap(ctx, part) }); err != nil {
		return "", part, err
	}
	comment := layerComment
	if m.chain.covered {
		comment = coveredComment
	}
	// The container is paused meanwhile, which is also how a clean-up sees that a
	// commit is under way.
	res, err := m.engine.ContainerCommit(
		ctx,
		m.name,
		client.ContainerCommitOptions{Reference: part.ID, Comment: comment},
	)
	if err != nil {
		return "", part, fmt.Errorf("commit layer: %w", err)
	}
	if m.chain.depth+1 < maxDepth {
		return res.ID, part, nil
	}
	flat, err := m.flatten(ctx, res.ID)
	if err != nil {
		return "", part, fmt.Errorf("layer %d of the image: %w", m.chain.depth+1, err)
	}
	m.chain.covered = false
	if err := m.b.Destroy(ctx, part); err != nil {
		return "", part, err
	}
	return flat.id, flat.name, nil
}

// publish gives a complete layer its name. An older one of that name goes.
func (m *machine) publish(ctx context.Context, key kiln.LayerKey, id string) error {
	old, err := m.engine.ImageInspect(ctx, layerName(key))
	if err != nil && !docker.Absent(err) {
		return fmt.Errorf("look for layers: %w", err)
	}
	// One that somebody has given another name is theirs, too.
	had := err == nil && old.ID != id && len(old.RepoTags) <= 1
	if _, err := m.engine.ImageTag(ctx, client.ImageTagOptions{Source: id, Target: layerName(key)}); err != nil {
		return fmt.Errorf("name layer: %w", err)
	}
	if had {
		// Where others stand on it, it goes with the last of them.
		if _, err := m.engine.ImageRemove(ctx, old.ID, client.ImageRemoveOptions{PruneChildren: true}); err != nil &&
			!errdefs.IsConflict(err) &&
			!docker.Absent(err) {
			return fmt.Errorf("remove the layer's predecessor: %w", err)
		}
	}
	return nil
}

// swap goes on in a new container made of the layer, where the next layers would hold
// again much of what this one holds. It is as if the build had been started from the
// layer, which a later one may be. Its name, id and address are new. After the last step
// it is not started unless something has to run in it all the same.
func (m *machine) swap(ctx context.Context, id string, last bool) error {
	info, err := m.engine.ImageInspect(ctx, id)
	if err != nil {
		return fmt.Errorf("look at layer: %w", err)
	}
	c := &m.chain
	grown, all := info.Size-c.size, info.Size-m.source.Size
	c.kept += grown
	if m.docker == nil || grown <= smallSwap && c.kept <= max(all, smallSwap) {
		return nil
	}
	before, name, id, made := *c, m.name, m.id, m.container
	c.from, c.size, c.depth, c.kept = info.ID, info.Size, len(info.RootFS.Layers), 0
	m.setRunning(false)
	if err = m.create(ctx); err == nil && !last {
		err = m.ready(ctx)
	}
	if err != nil {
		// The old container is as it was: the build goes on in it.
		failed := m.container
		*c, m.name, m.id = before, name, id
		m.setContainer(made)
		m.setRunning(true)
		m.b.Set("ID", id)
		if failed.Same(made) {
			return err
		}
		return errors.Join(err, m.b.Destroy(context.WithoutCancel(ctx), failed))
	}
	m.docker.Switch(m.name)
	m.b.SetAccess(kiln.Access{Type: "docker", Host: m.ip})
	// In its own time: it is owned until it is gone.
	go func() { _ = m.b.Destroy(context.WithoutCancel(ctx), made) }()
	return nil
}

// KeptLayers lists the layers that the engine holds.
func (c *Builder) KeptLayers(ctx context.Context) ([]kiln.Layer, error) {
	engine, err := docker.Open(ctx, "")
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	list, err := engine.ImageList(
		ctx,
		client.ImageListOptions{Filters: client.Filters{}.Add("reference", layerRepository)},
	)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	var out []kiln.Layer
	for _, item := range list.Items {
		for _, tag := range item.RepoTags {
			key, ok := strings.CutPrefix(tag, layerRepository+":")
			if !ok || strings.HasPrefix(key, partTag) {
				continue
			}
			size := item.Size
			if parent, err := engine.ImageInspect(ctx, item.ParentID); item.ParentID != "" && err == nil {
				size -= parent.Size
			}
			out = append(
				out,
				kiln.Layer{Key: kiln.LayerKey(key), Size: max(0, size), Created: time.Unix(item.Created, 0)},
			)
		}
	}
	return out, nil
}

// RemoveLayer removes one layer.
func (c *Builder) RemoveLayer(ctx context.Context, key kiln.LayerKey) error {
	engine, err := docker.Open(ctx, "")
	if err != nil {
		return err
	}
	defer engine.Close()
	err = removeImage(ctx, engine, layerName(key))
	if errdefs.IsConflict(err) {
		return fmt.Errorf("%w: other layers or images stand on it", kiln.ErrConflict)
	}
	return err
}
