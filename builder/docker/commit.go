package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"kiln"
	"kiln/driver/docker"
)

// commitRepository is where an image has its name while it is made.
const commitRepository = "kiln-commit"

// newPart is a name that we chose for an image that is about to be made.
func (m *machine) newPart(repository string) kiln.Resource {
	part := m.resource(layerPart, repository+":"+partTag+kiln.RandomName(12))
	part.Attrs["container"] = m.name
	return part
}

// commitOptions are those of the image's commit.
func (m *machine) commitOptions(ctx context.Context, name string) (client.ContainerCommitOptions, error) {
	config, changes := m.changes()
	podman, err := m.engine.Podman(ctx)
	if podman {
		// It does not read the configuration.
		changes = slices.Concat(
			[]string{"ENTRYPOINT " + list(config.Entrypoint), "CMD " + list(config.Cmd)}, m.cfg.Changes)
	} else {
		changes, err = direct(config, changes)
	}
	return client.ContainerCommitOptions{
		Reference: name, Comment: m.cfg.Message, Author: m.cfg.Author, Config: config, Changes: changes,
	}, err
}

// errChange says that an instruction is one that engines take as a change.
var errChange = errors.New("not set directly")

// direct sets what engines refuse among the changes of a commit, and take in its
// configuration. It returns the other changes.
func direct(config *container.Config, changes []string) ([]string, error) {
	var rest []string
	for _, change := range changes {
		err := setDirectly(config, change)
		if errors.Is(err, errChange) {
			rest = append(rest, change)
		} else if err != nil {
			return nil, fmt.Errorf("%q: %w", change, err)
		}
	}
	return rest, nil
}

func setDirectly(config *container.Config, change string) error {
	word, value, _ := strings.Cut(strings.TrimSpace(change), " ")
	value = strings.TrimSpace(value)
	switch strings.ToUpper(word) {
	case "STOPSIGNAL":
		if value == "" || strings.ContainsAny(value, " \t") {
			return errors.New("STOPSIGNAL takes one signal, such as SIGTERM")
		}
		config.StopSignal = value
	case "SHELL":
		config.Shell = nil
		if err := json.Unmarshal([]byte(value), &config.Shell); err != nil || len(config.Shell) == 0 {
			return errors.New(`SHELL takes a list in JSON, such as ["/bin/sh", "-c"]`)
		}
	default:
		return errChange
	}
	return nil
}

// commitNamed commits the container under a name of its own, so that an image whose
// maker has died can be found again.
func (m *machine) commitNamed(ctx context.Context) (made, part kiln.Resource, err error) {
	part = m.newPart(commitRepository)
	if err := m.b.Own(part, func(ctx context.Context) error { return m.cfg.Reap(ctx, part) }); err != nil {
		return made, part, err
	}
	if err := m.noteCovered(ctx); err != nil {
		return made, part, err
	}
	o, err := m.commitOptions(ctx, part.ID)
	if err != nil {
		return made, part, err
	}
	res, err := m.engine.ContainerCommit(ctx, m.name, o)
	if err != nil {
		return made, part, fmt.Errorf("commit the container: %w", err)
	}
	if !strings.HasPrefix(res.ID, "sha256:") {
		res.ID = "sha256:" + res.ID // podman says it without
	}
	made = m.resource("image", res.ID)
	err = m.b.Own(made, func(ctx context.Context) error { return removeMade(ctx, m.engine, made.ID) })
	return made, part, err
}

// unname takes its working name away from an image that stays. To take away the last
// name of an image is to remove it. So the name moves first to another image that has
// names: the one that the container is made of, or an empty one.
func (m *machine) unname(ctx context.Context, part kiln.Resource) (err error) {
	other := m.chain.from
	info, err := m.engine.ImageInspect(ctx, other)
	if err != nil && !docker.Absent(err) {
		return fmt.Errorf("look at image %s: %w", other, err)
	}
	if err != nil || len(info.RepoTags) == 0 {
		empty := m.newPart(commitRepository)
		if err := m.b.Own(empty, func(ctx context.Context) error { return m.cfg.Reap(ctx, empty) }); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.b.Destroy(context.WithoutCancel(ctx), empty)) }()
		if err := m.engine.ImportEmpty(ctx, empty.ID); err != nil {
			return fmt.Errorf("make an empty image: %w", err)
		}
		other = empty.ID
	}
	if _, err := m.engine.ImageTag(ctx, client.ImageTagOptions{Source: other, Target: part.ID}); err != nil {
		return fmt.Errorf("move the name %s: %w", part.ID, err)
	}
	return m.b.Destroy(ctx, part)
}
