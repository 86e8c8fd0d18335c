package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"kiln"
	"kiln/driver/docker"
)

// Reap destroys a container, an image or a layer.
func (c *Builder) Reap(ctx context.Context, r kiln.Resource) error {
	engine, err := docker.Open(ctx, r.Attrs["host"])
	if err != nil {
		return err
	}
	defer engine.Close()
	switch r.Kind {
	case "container":
		err := appear(ctx, engine, "", func() bool {
			_, err := engine.ContainerInspect(ctx, r.ID, client.ContainerInspectOptions{})
			return err == nil
		})
		return errors.Join(err, removeContainer(ctx, engine, r.ID))
	case "tag", "retag":
		err := appear(ctx, engine, "", func() bool { return exists(ctx, engine, r.ID) })
		return errors.Join(err, docker.Untag(ctx, r))
	case "image":
		return removeMade(ctx, engine, r.ID)
	case layerPart:
		err := appear(ctx, engine, r.Attrs["container"], func() bool { return exists(ctx, engine, r.ID) })
		return errors.Join(err, removeImage(ctx, engine, r.ID))
	}
	return fmt.Errorf("unknown kind of docker resource %q", r.Kind)
}

// Stands reports whether an image is there, or has the name that it was given.
func (c *Builder) Stands(ctx context.Context, r kiln.Resource) (bool, error) {
	engine, err := docker.Open(ctx, r.Attrs["host"])
	if err != nil {
		return false, err
	}
	defer engine.Close()
	info, err := engine.ImageInspect(ctx, r.ID)
	if docker.Absent(err) {
		return false, nil
	}
	return err == nil && (r.Mark == "" || info.ID == r.Mark), err
}

// The engine goes on with a call whose caller has died. So what a dead run was about
// to make may appear a moment after the clean-up began.
const inFlight = time.Second

// appear waits until something is there, for as long as a call that was in flight
// may take. While the container is paused, a commit of it is under way, however
// large it is, and the time does not count.
func appear(ctx context.Context, engine *docker.Engine, container string, there func() bool) error {
	idle := time.Now()
	for pause := 5 * time.Millisecond; !there(); pause = min(2*pause, 100*time.Millisecond) {
		if container != "" {
			if info, err := engine.ContainerInspect(ctx, container, client.ContainerInspectOptions{}); err == nil &&
				info.Container.State.Paused {
				idle = time.Now()
			}
		}
		if time.Since(idle) > inFlight {
			return nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("wait for what was being made: %w", ctx.Err())
		case <-timer.C:
		}
	}
	return nil
}

func exists(ctx context.Context, engine *docker.Engine, name string) bool {
	_, err := engine.ImageInspect(ctx, name)
	return err == nil
}

// Owned finds the containers of a run by the names that we give them.
func (c *Builder) Owned(ctx context.Context, run string, example kiln.Resource) ([]kiln.Resource, error) {
	engine, err := docker.Open(ctx, example.Attrs["host"])
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	prefix := "kiln-" + run + "-"
	res, err := engine.ContainerList(
		ctx,
		client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("name", prefix)},
	)
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var found []kiln.Resource
	for _, c := range res.Items {
		for _, name := range c.Names {
			if name = strings.TrimPrefix(name, "/"); strings.HasPrefix(name, prefix) {
				found = append(
					found,
					kiln.Resource{
						Owner: owner,
						Kind:  "container",
						ID:    name,
						Attrs: map[string]string{"host": example.Attrs["host"]},
					},
				)
			}
		}
	}
	return found, nil
}

// removeContainer kills and removes a container with its volumes without a name.
// One that is being removed already is waited for. If it was the last that held a layer
// whose name another one has by now, that goes too.
func removeContainer(ctx context.Context, engine *docker.Engine, name string) error {
	info, err := engine.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if docker.Absent(err) {
		return nil
	}
	stoodOn := ""
	if err == nil {
		stoodOn = info.Container.Image
	}
	if err := killContainer(ctx, engine, name); err != nil {
		return err
	}
	return dropReplaced(ctx, engine, stoodOn)
}

// dropReplaced removes a layer that has lost its name and that nothing stands on.
func dropReplaced(ctx context.Context, engine *docker.Engine, id string) error {
	info, err := engine.ImageInspect(ctx, id)
	if err != nil || len(info.RepoTags) > 0 || info.Comment != layerComment && info.Comment != coveredComment {
		return nil // it is gone, or none; who cannot see it cannot remove it either
	}
	_, err = engine.ImageRemove(ctx, info.ID, client.ImageRemoveOptions{PruneChildren: true})
	if err != nil && !docker.Absent(err) && !errdefs.IsConflict(err) {
		return fmt.Errorf("remove layer %s, which another one has replaced: %w", info.ID, err)
	}
	return nil
}

func killContainer(ctx context.Context, engine *docker.Engine, name string) error {
	pause := 20 * time.Millisecond
	for {
		_, err := engine.ContainerRemove(
			ctx,
			name,
			client.ContainerRemoveOptions{Force: true, RemoveVolumes: true},
		)
		if err == nil || docker.Absent(err) {
			return nil
		}
		if !errdefs.IsConflict(err) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(err, ctx.Err())
		case <-timer.C:
		}
		pause = min(2*pause, time.Second)
	}
}

// removeMade removes an image that a build made. One that has got a name since then,
// other than those that it has while it is made, is somebody's: it is left alone.
func removeMade(ctx context.Context, engine *docker.Engine, id string) error {
	info, err := engine.ImageInspect(ctx, id)
	if docker.Absent(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at image %s: %w", id, err)
	}
	for _, name := range info.RepoTags {
		if !strings.Contains(name, commitRepository+":"+partTag) &&
			!strings.Contains(name, layerRepository+":"+partTag) {
			return kiln.ErrReplaced
		}
	}
	return removeImage(ctx, engine, id)
}

// removeImage removes one name of an image, or an image by its id with all its
// names.
func removeImage(ctx context.Context, engine *docker.Engine, name string) error {
	force := strings.HasPrefix(name, "sha256:")
	_, err := engine.ImageRemove(ctx, name, client.ImageRemoveOptions{Force: force, PruneChildren: true})
	if errdefs.IsConflict(err) && !force {
		// A container of another run uses it: the name goes all the same.
		_, err = engine.ImageRemove(ctx, name, client.ImageRemoveOptions{Force: true})
	}
	if docker.Absent(err) {
		return nil
	}
	return err
}
