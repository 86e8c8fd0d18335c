package docker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"kiln"
	way "kiln/communicator/docker"
	"kiln/driver/docker"
)

// machine is a container.
type machine struct {
	cfg    *Builder
	b      *kiln.Build
	engine *docker.Engine

	source    image.InspectResponse // the image that the template names
	chain     chain                 // what the container stands on
	shared    string                // folder on the host
	container kiln.Resource
	name, id  string
	hostname  string
	ip        string
	made      time.Duration     // how long making and starting the container took
	first     map[string]bool   // processes that the fresh container has
	docker    *way.Communicator // the way in, where it is the engine's
	last      *kiln.Artifact    // what would be made again; nil: it is made

	starting sync.Mutex
	mu       sync.Mutex
	running  bool
}

func (m *machine) short() string { return m.id[:min(12, len(m.id))] }

func randomHex() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // never fails, see its documentation
	return hex.EncodeToString(b)
}

// Connect gives the way into the container.
func (m *machine) Connect(ctx context.Context) (kiln.Communicator, error) {
	if m.cfg.Communicator != "docker" {
		return m.cfg.Config.Connect(ctx, m.b, kiln.Target{Host: func(context.Context) (string, error) {
			if m.ip == "" {
				return "", errNoAddress
			}
			return m.ip, nil
		}})
	}
	if m.last == nil {
		m.b.Say("Using docker communicator to connect: %s", m.ip)
		m.b.SetAccess(kiln.Access{Type: "docker", Host: m.ip})
	}
	m.docker = way.New(m.engine, m.name, way.Options{
		User: m.cfg.ExecUser, Terminal: m.cfg.Terminal(), FixOwner: m.cfg.FixUploadOwner, Ready: m.ready,
	})
	return m.docker, nil
}

// Capture commits, exports or discards the container, or gives what that made last.
func (m *machine) Capture(ctx context.Context) (*kiln.Artifact, error) {
	switch {
	case m.last != nil:
		if m.cfg.Commit {
			m.b.Say("Image ID: %s", m.last.ID)
		}
		return m.last, nil
	case m.cfg.Commit:
		return m.commit(ctx)
	case m.cfg.ExportPath != "":
		return m.export(ctx)
	}
	return &kiln.Artifact{Builder: "packer.docker", ID: "Container", Text: "Exported Docker file: "}, nil
}

func (m *machine) commit(ctx context.Context) (*kiln.Artifact, error) {
	m.b.Say("Committing the container")
	made, part, err := m.commitNamed(ctx)
	if err == nil {
		err = m.unname(ctx, part)
	}
	if err != nil {
		return nil, err
	}
	if m.chain.covered {
		if made, err = m.single(ctx, made); err != nil {
			return nil, err
		}
	}
	m.b.Say("Image ID: %s", made.ID)
	m.b.Set("ImageSha256", made.ID)
	return &kiln.Artifact{
			Builder:   "packer.post-processor.docker-import",
			ID:        made.ID,
			Text:      "Imported Docker image: " + made.ID,
			Resources: []kiln.Resource{made},
			Data:      m.b.Data(),
		}, m.b.Release(
			made,
		)
}

// single replaces an image by one that does not hold what was removed on the way.
func (m *machine) single(ctx context.Context, image kiln.Resource) (kiln.Resource, error) {
	flat, err := m.flatten(ctx, image.ID)
	if err != nil {
		if ctx.Err() != nil {
			return image, err
		}
		m.b.Warn(
			"Warning: the image still holds what later steps removed, below what it shows: %v. A build with -no-cache makes one without.",
			err,
		)
		return image, nil
	}
	made := m.resource("image", flat.id)
	if err := m.b.Own(made, func(ctx context.Context) error { return removeMade(ctx, m.engine, made.ID) }); err != nil {
		return made, err
	}
	// To take away the last name of an image is to remove it. So the name moves to the
	// image that is to go.
	if _, err := m.engine.ImageTag(ctx, client.ImageTagOptions{Source: image.ID, Target: flat.name.ID}); err != nil {
		return made, err
	}
	return made, errors.Join(m.b.Destroy(ctx, image), m.b.Forget(flat.name))
}

// changes are the template's, over a configuration that gives the image the
// entrypoint and command back which the run replaced.
func (m *machine) changes() (*container.Config, []string) {
	// An empty list is not the same as none: none would mean the container's.
	config := &container.Config{Entrypoint: []string{}}
	if cfg := m.source.Config; cfg != nil {
		config.Entrypoint, config.Cmd = append(config.Entrypoint, cfg.Entrypoint...), cfg.Cmd
	}
	set := map[string]bool{}
	for _, c := range m.cfg.Changes {
		word, _, _ := strings.Cut(strings.TrimSpace(c), " ")
		set[strings.ToUpper(word)] = true
	}
	changes := m.cfg.Changes
	if set["ENTRYPOINT"] && !set["CMD"] && len(config.Cmd) > 0 {
		// A new entrypoint alone would take the command away.
		changes = append(slices.Clone(changes), "CMD "+list(config.Cmd))
	}
	return config, changes
}

func list(words []string) string {
	if len(words) == 0 {
		return "[]"
	}
	text, err := json.Marshal(words)
	if err != nil {
		return "[]"
	}
	return string(text)
}

// export writes the container's files.
func (m *machine) export(ctx context.Context) (*kiln.Artifact, error) {
	m.b.Say("Exporting the container")
	made, err := m.b.WriteFile(
		ctx,
		m.cfg.ExportPath,
		0o666,
		func(w io.Writer) error { return m.exportTo(ctx, w) },
	)
	if err != nil {
		return nil, fmt.Errorf("export the container: %w", err)
	}
	return &kiln.Artifact{
		Builder: "packer.docker", ID: "Container", Text: "Exported Docker file: " + m.cfg.ExportPath,
		Files: []string{m.cfg.ExportPath}, Resources: []kiln.Resource{made}, Data: m.b.Data(),
	}, m.b.Release(made)
}

func (m *machine) exportTo(ctx context.Context, w io.Writer) error {
	res, err := m.engine.ContainerExport(ctx, m.name, client.ContainerExportOptions{})
	if err != nil {
		return err
	}
	defer res.Close()
	_, err = io.Copy(w, res)
	return err
}
